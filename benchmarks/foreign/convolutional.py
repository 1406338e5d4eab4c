"""Nets of pytorchcv and timm: few classes, small pictures."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from foreign.journey import Builder, Net
from foreign.stand_in import stand_in


def pytorchcv(name: str, size: int = 64, **settings: Any) -> Builder:
    def build() -> Net:
        stand_in("torchvision")
        from pytorchcv.model_provider import get_model

        return _pooled(get_model(name, **settings)), torch.randn(2, 3, size, size)

    return build


def _pooled(model: nn.Module) -> nn.Module:
    """The net with a last pool that fits small pictures: written for 7 x 7, as for 224 x 224."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.AvgPool2d) and child.stride == 1 and not child.padding:
                setattr(module, name, nn.AdaptiveAvgPool2d(1))
    return model


def _speech(name: str) -> Builder:
    def build() -> Net:
        stand_in("torchvision")
        from pytorchcv.model_provider import get_model

        return get_model(name, from_audio=False), (torch.randn(2, 64, 40), torch.tensor([40, 40]))

    return build


def _flow(name: str) -> Builder:
    def build() -> Net:
        stand_in("torchvision")
        from pytorchcv.model_provider import get_model

        return get_model(name), (torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128))

    return build


def timm(name: str, size: int = 64, **settings: Any) -> Builder:
    def build() -> Net:
        stand_in("torchvision")
        from timm import create_model

        return create_model(name, num_classes=10, **settings), torch.randn(2, 3, size, size)

    return build


SMALL = [
    "airnet50_1x64d_r16",
    "airnext50_32x4d_r2",
    "alexnet",
    "bagnet9",
    "bam_resnet18",
    "bninception",
    "cbam_resnet18",
    "channelnet",
    "condensenet74_c4_g4",
    "darknet_ref",
    "darts",
    "diracnet18v2",
    "dla34",
    "dpn68",
    "espnetv2_wd2",
    "fdmobilenet_wd4",
    "ghostnet",
    "hardnet39ds",
    "igcv3_wd4",
    "isqrtcovresnet18",
    "menet108_8x1_g3",
    "mixnet_s",
    "mnasnet_small",
    "octresnet10_ad2",
    "peleenet",
    "preresnet10",
    "proxylessnas_mobile",
    "resattnet56",
    "revnet38",
    "scnet50",
    "selecsls42b",
    "seresnet10",
    "sharesnet18",
    "shufflenet_g3_wd4",
    "shufflenetv2b_wd2",
    "sknet50",
    "sparsenet121",
    "spnasnet",
    "sqnxt23_w1",
    "squeezeresnet_v1_1",
    "tresnet_m",
    "vovnet27s",
    "xdensenet121_2",
    "zfnetb",
    "dicenet_wd5",
    "fractalnet_cifar10",
    "nin_cifar10",
    "rir_cifar10",
    "ror3_56_cifar10",
    "wrn20_10_1bit_cifar10",
    "shakeshakeresnet20_2x16d_cifar10",
    "ibnb_resnet50",
    "drnc26",
    "diaresnet10",
    "resnesta50",
    "regnety002",
    "ibppose_coco",
    "hrnet_w18_small_v1",
    "fishnet99",
    "nasnet_4a1056",
    "polynet",
]
SIZES = {
    "alexnet": 224,
    "zfnetb": 224,
    "nasnet_4a1056": 96,
    "polynet": 96,
    "bninception": 64,
    "rir_cifar10": 32,
    "ror3_56_cifar10": 32,
    "nin_cifar10": 32,
    "fractalnet_cifar10": 32,
    "wrn20_10_1bit_cifar10": 32,
    "shakeshakeresnet20_2x16d_cifar10": 32,
    "ibppose_coco": 256,
}
DENSE = ["dabnet_cityscapes", "edanet_cityscapes", "lednet_cityscapes", "unet_cityscapes"]
TIMM = [
    "beit_base_patch16_224",
    "cait_xxs24_224",
    "coat_lite_tiny",
    "convit_tiny",
    "convmixer_768_32",
    "convnext_atto",
    "convnextv2_atto",
    "crossvit_tiny_240",
    "davit_tiny",
    "deit_tiny_patch16_224",
    "densenet121",
    "dla46_c",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientformerv2_s0",
    "efficientnet_lite0",
    "efficientvit_b0",
    "efficientvit_m0",
    "fastvit_t8",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "gernet_s",
    "ghostnet_050",
    "hardcorenas_a",
    "hgnetv2_b0",
    "hiera_tiny_224",
    "inception_next_tiny",
    "lambda_resnet26t",
    "lcnet_050",
    "levit_128s",
    "mambaout_femto",
    "mixer_s32_224",
    "mobilenetv3_small_050",
    "mobileone_s0",
    "mobilevit_xxs",
    "mobilevitv2_050",
    "mvitv2_tiny",
    "nest_tiny",
    "nf_resnet26",
    "nfnet_l0",
    "pit_ti_224",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnetx_002",
    "repghostnet_050",
    "repvgg_a0",
    "repvit_m0_9",
    "res2net50_26w_4s",
    "resmlp_12_224",
    "resnest14d",
    "rexnet_100",
    "sequencer2d_s",
    "skresnet18",
    "starnet_s1",
    "swin_tiny_patch4_window7_224",
    "tiny_vit_5m_224",
    "tnt_s_patch16_224",
    "tresnet_m",
    "twins_svt_small",
    "vit_relpos_small_patch16_224",
    "xcit_nano_12_p16_224",
    "visformer_tiny",
    "gmixer_24_224",
    "shvit_s1",
    "rdnet_tiny",
    "swiftformer_xs",
    "fasternet_t0",
]
SMALLER = dict.fromkeys(
    [
        "beit_base_patch16_224",
        "cait_xxs24_224",
        "convit_tiny",
        "deit_tiny_patch16_224",
        "mixer_s32_224",
        "nest_tiny",
        "resmlp_12_224",
        "vit_relpos_small_patch16_224",
        "gmixer_24_224",
        "hiera_tiny_224",
        "coat_lite_tiny",
        "tnt_s_patch16_224",
        "visformer_tiny",
    ],
    64,
) | {"swin_tiny_patch4_window7_224": 56}
WHOLE = frozenset(
    ["efficientformer_l1", "efficientformerv2_s0", "gcvit_xxtiny", "levit_128s", "pit_ti_224"]
)


def _timm(name: str) -> Builder:
    if name in SMALLER:
        return timm(name, SMALLER[name], img_size=SMALLER[name])
    return timm(name, 224 if name in WHOLE else 64)


NETS: dict[str, Builder] = {
    **{f"{name}": pytorchcv(name, SIZES.get(name, 64)) for name in SMALL},
    **{name: pytorchcv(name) for name in DENSE},
    **{name: _speech(name) for name in ("jasper5x3", "quartznet5x5_en_ls")},
    **{name: _flow(name) for name in ("raft_small", "raft_things")},
}
TIMM_NETS: dict[str, Builder] = {name: _timm(name) for name in TIMM}
