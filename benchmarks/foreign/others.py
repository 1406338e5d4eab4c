"""Nets of x-transformers, segmentation-models-pytorch and some smaller packages."""

from __future__ import annotations

from typing import Any

import torch

from foreign.building import net, picture
from foreign.journey import Builder, Net
from foreign.stand_in import stand_in


def decoder(**settings: Any) -> Builder:
    def build() -> Net:
        stand_in("torchvision")
        from x_transformers import Decoder, TransformerWrapper

        layers = Decoder(dim=32, depth=2, heads=4, attn_dim_head=8, **settings)
        return TransformerWrapper(num_tokens=50, max_seq_len=16, attn_layers=layers), torch.randint(
            0, 50, (2, 8)
        )

    return build


SEQUENCES: dict[str, Builder] = {
    "decoder": decoder(),
    "rotary_glu": decoder(rotary_pos_emb=True, ff_glu=True, use_rmsnorm=True),
    "alibi": decoder(alibi_pos_bias=True, alibi_num_heads=2),
    "rel_pos_bias": decoder(rel_pos_bias=True),
    "qk_norm": decoder(attn_qk_norm=True),
    "one_kv_head": decoder(attn_one_kv_head=True),
    "relu_squared": decoder(ff_relu_squared=True, sandwich_norm=True),
}


def segmentation(name: str, encoder: str = "tu-resnet18", **settings: Any) -> Builder:
    return net(
        "segmentation_models_pytorch",
        name,
        picture(2, 3, 64, 64),
        encoder_name=encoder,
        encoder_weights=None,
        classes=3,
        **settings,
    )


SEGMENTATION: dict[str, Builder] = {
    name.lower(): segmentation(name)
    for name in (
        "Unet",
        "UnetPlusPlus",
        "MAnet",
        "Linknet",
        "FPN",
        "PSPNet",
        "DeepLabV3",
        "DeepLabV3Plus",
        "UPerNet",
        "Segformer",
    )
} | {
    "unet_mobilenet": segmentation("Unet", "tu-mobilenetv2_050"),
    "unet_efficientnet": segmentation("Unet", "efficientnet-b0"),
    "unet_scse": segmentation("Unet", decoder_attention_type="scse"),
    "unet_mit": segmentation("Unet", "mit_b0"),
}
SOUND = {
    "demucs": net(
        "demucs.demucs",
        "Demucs",
        picture(1, 2, 8192),
        sources=["a", "b"],
        channels=8,
        depth=3,
        lstm_layers=1,
        rewrite=True,
    ),
    "hdemucs": net(
        "demucs.hdemucs",
        "HDemucs",
        picture(1, 2, 44100),
        sources=["a", "b"],
        channels=8,
        depth=6,
        nfft=4096,
        norm_groups=4,
    ),
    "htdemucs": net(
        "demucs.htdemucs",
        "HTDemucs",
        picture(1, 2, 44100),
        sources=["a", "b"],
        channels=16,
        depth=4,
        t_layers=2,
        t_heads=2,
        segment=1,
        bottom_channels=0,
    ),
    "tcn": net(
        "pytorch_tcn",
        "TCN",
        picture(2, 6, 20),
        num_inputs=6,
        num_channels=[8, 8, 16],
        kernel_size=3,
    ),
    "tcn_gated": net(
        "pytorch_tcn",
        "TCN",
        picture(2, 6, 20),
        num_inputs=6,
        num_channels=[8, 8, 16],
        kernel_size=3,
        use_norm="batch_norm",
        use_gate=True,
    ),
    "tcn_skips": net(
        "pytorch_tcn",
        "TCN",
        picture(2, 6, 20),
        num_inputs=6,
        num_channels=[8, 8, 16],
        kernel_size=3,
        use_skip_connections=True,
    ),
    "conformer": net(
        "conformer",
        "ConformerBlock",
        picture(2, 12, 32),
        dim=32,
        dim_head=8,
        heads=4,
        ff_mult=2,
        conv_kernel_size=5,
    ),
}
