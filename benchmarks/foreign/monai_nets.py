"""Nets of monai."""

from __future__ import annotations

from typing import Any

import torch

from foreign.building import net, picture
from foreign.journey import Builder


def monai(name: str, shape: tuple[int, ...], **settings: Any) -> Builder:
    return net("monai.networks.nets", name, picture(*shape), **settings)


VOLUME, PLANE, SQUARE = (1, 1, 32, 32, 32), (2, 1, 64, 64), (2, 1, 32, 32)
MONAI: dict[str, Builder] = {
    "unet": monai(
        "UNet",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(8, 16, 32),
        strides=(2, 2),
        num_res_units=2,
    ),
    "unet_3d": monai(
        "UNet",
        VOLUME,
        spatial_dims=3,
        in_channels=1,
        out_channels=2,
        channels=(8, 16, 32),
        strides=(2, 2),
        norm="batch",
    ),
    "attention_unet": monai(
        "AttentionUnet",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(8, 16, 32),
        strides=(2, 2),
    ),
    "autoencoder": monai(
        "AutoEncoder",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(8, 16),
        strides=(2, 2),
    ),
    "basic_unet": monai(
        "BasicUNet", SQUARE, spatial_dims=2, out_channels=2, features=(8, 8, 16, 16, 32, 8)
    ),
    "basic_unet_plus_plus": monai(
        "BasicUNetPlusPlus", SQUARE, spatial_dims=2, out_channels=2, features=(8, 8, 16, 16, 32, 8)
    ),
    "dynunet": monai(
        "DynUNet",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        kernel_size=[3, 3, 3],
        strides=[1, 2, 2],
        upsample_kernel_size=[2, 2],
        filters=[8, 16, 32],
    ),
    "segresnet": monai(
        "SegResNet", SQUARE, spatial_dims=2, init_filters=8, blocks_down=(1, 1, 1), blocks_up=(1, 1)
    ),
    "segresnet_ds": monai(
        "SegResNetDS", SQUARE, spatial_dims=2, init_filters=8, blocks_down=(1, 1, 1), norm="batch"
    ),
    "vnet": monai("VNet", (1, 1, 32, 32, 32), spatial_dims=3),
    "highresnet": monai("HighResNet", SQUARE, spatial_dims=2, in_channels=1, out_channels=2),
    "unetr": monai(
        "UNETR",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        img_size=32,
        feature_size=8,
        hidden_size=32,
        mlp_dim=48,
        num_heads=4,
    ),
    "swin_unetr": monai(
        "SwinUNETR",
        PLANE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        feature_size=12,
        depths=(1, 1, 1, 1),
    ),
    "vit": monai(
        "ViT",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        img_size=32,
        patch_size=8,
        hidden_size=32,
        mlp_dim=48,
        num_layers=2,
        num_heads=4,
        classification=True,
        num_classes=3,
    ),
    "vit_autoencoder": monai(
        "ViTAutoEnc",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        img_size=32,
        patch_size=4,
        hidden_size=32,
        mlp_dim=48,
        num_layers=2,
        num_heads=4,
    ),
    "densenet": monai(
        "DenseNet",
        PLANE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        init_features=8,
        growth_rate=4,
        block_config=(2, 2),
    ),
    "senet": monai(
        "SENet",
        PLANE,
        spatial_dims=2,
        in_channels=1,
        block="se_bottleneck",
        layers=(1, 1, 1, 1),
        groups=1,
        reduction=16,
        num_classes=3,
    ),
    "efficientnet": net(
        "monai.networks.nets",
        "EfficientNetBN",
        picture(2, 1, 64, 64),
        "efficientnet-b0",
        in_channels=1,
        pretrained=False,
    ),
    "resnet_3d": net(
        "monai.networks.nets",
        "resnet10",
        picture(1, 1, 32, 32, 32),
        spatial_dims=3,
        n_input_channels=1,
        num_classes=3,
        feed_forward=True,
    ),
    "regressor": monai(
        "Regressor", SQUARE, in_shape=(1, 32, 32), out_shape=(1,), channels=(8, 16), strides=(2, 2)
    ),
    "generator": monai(
        "Generator",
        (2, 8),
        latent_shape=(8,),
        start_shape=(8, 4, 4),
        channels=(16, 8, 1),
        strides=(2, 2, 1),
    ),
    "discriminator": monai(
        "Discriminator", SQUARE, in_shape=(1, 32, 32), channels=(8, 16), strides=(2, 2)
    ),
    "full_vae": monai(
        "VarAutoEncoder",
        SQUARE,
        spatial_dims=2,
        in_shape=(1, 32, 32),
        out_channels=1,
        latent_size=8,
        channels=(8, 16),
        strides=(2, 2),
    ),
    "autoencoder_kl": monai(
        "AutoencoderKL",
        SQUARE,
        spatial_dims=2,
        channels=(8, 16),
        num_res_blocks=(1, 1),
        attention_levels=(False, True),
        norm_num_groups=4,
        latent_channels=4,
    ),
    "vqvae": monai(
        "VQVAE",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        channels=(8, 16),
        num_res_channels=(8, 16),
        num_res_layers=1,
        downsample_parameters=((2, 4, 1, 1), (2, 4, 1, 1)),
        upsample_parameters=((2, 4, 1, 1, 0), (2, 4, 1, 1, 0)),
        num_embeddings=16,
        embedding_dim=8,
    ),
    "diffusion_unet": net(
        "monai.networks.nets",
        "DiffusionModelUNet",
        lambda: (torch.randn(2, 1, 16, 16), torch.tensor([3, 7])),
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        num_res_blocks=(1, 1),
        channels=(8, 16),
        attention_levels=(False, True),
        norm_num_groups=4,
        num_head_channels=8,
    ),
    "hovernet": monai("HoVerNet", (1, 3, 256, 256), mode="fast", out_classes=3),
    "restormer": net(
        "monai.networks.nets.restormer",
        "Restormer",
        picture(*SQUARE),
        spatial_dims=2,
        in_channels=1,
        out_channels=1,
        dim=8,
        num_blocks=(1, 1, 1, 1),
        heads=(1, 1, 2, 2),
        num_refinement_blocks=1,
    ),
    "mednext": monai(
        "MedNeXt",
        SQUARE,
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        init_filters=8,
        blocks_down=(1, 1),
        blocks_up=(1, 1),
        encoder_expansion_ratio=2,
        decoder_expansion_ratio=2,
    ),
    "quicknat": monai("Quicknat", PLANE, num_classes=3, num_channels=1, num_filters=8),
    "patch_discriminator": monai(
        "PatchDiscriminator", PLANE, spatial_dims=2, in_channels=1, channels=8, num_layers_d=2
    ),
    "decoder_transformer": net(
        "monai.networks.nets",
        "DecoderOnlyTransformer",
        lambda: torch.randint(0, 20, (2, 8)),
        num_tokens=20,
        max_seq_len=16,
        attn_layers_dim=32,
        attn_layers_depth=2,
        attn_layers_heads=4,
    ),
}
