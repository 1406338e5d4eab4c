"""Vision transformers of vit-pytorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foreign.building import net, picture
from foreign.journey import Builder

SMALL = picture(2, 3, 32, 32)
VIT = {
    "image_size": 32,
    "patch_size": 8,
    "num_classes": 5,
    "dim": 32,
    "mlp_dim": 48,
    "heads": 4,
    "depth": 2,
    "dim_head": 8,
}


def vit(module: str, name: str, inputs: Callable[[], Any] = SMALL, **settings: Any) -> Builder:
    return net(f"vit_pytorch.{module}", name, inputs, **settings)


def plain(module: str, name: str, without: str = "", **more: Any) -> Builder:
    settings = {key: value for key, value in VIT.items() if key not in without.split()}
    return vit(module, name, **{**settings, **more})


VITS: dict[str, Builder] = {
    "vit": plain("vit", "ViT"),
    "deepvit": plain("deepvit", "DeepViT"),
    "cait": plain("cait", "CaiT", cls_depth=1),
    "pit": plain("pit", "PiT", depth=(1, 1), image_size=32),
    "parallel_vit": plain("parallel_vit", "ViT", num_parallel_branches=2),
    "simple_vit": plain("simple_vit", "SimpleViT"),
    "simple_vit_qk_norm": plain("simple_vit_with_qk_norm", "SimpleViT"),
    "vit_small_dataset": plain("vit_for_small_dataset", "ViT"),
    "patch_merger": plain(
        "vit_with_patch_merger", "ViT", patch_merge_layer=1, patch_merge_num_tokens=4
    ),
    "rvt": plain("rvt", "RvT"),
    "cct": vit(
        "cct",
        "CCT",
        img_size=32,
        embedding_dim=32,
        n_conv_layers=1,
        num_layers=2,
        num_heads=4,
        mlp_ratio=2,
        num_classes=5,
    ),
    "levit": vit(
        "levit",
        "LeViT",
        image_size=32,
        num_classes=5,
        dim=32,
        depth=1,
        heads=2,
        mlp_mult=2,
        stages=2,
    ),
    "cvt": vit(
        "cvt",
        "CvT",
        num_classes=5,
        s1_emb_dim=16,
        s2_emb_dim=32,
        s3_emb_dim=32,
        s2_heads=2,
        s3_heads=2,
        s2_depth=1,
        s3_depth=1,
    ),
    "twins": vit(
        "twins_svt",
        "TwinsSVT",
        picture(2, 3, 64, 64),
        num_classes=5,
        s1_emb_dim=16,
        s1_local_patch_size=4,
        s1_global_k=4,
        s2_emb_dim=16,
        s2_local_patch_size=4,
        s2_global_k=4,
        s3_emb_dim=16,
        s3_local_patch_size=4,
        s3_global_k=4,
        s3_depth=1,
        s4_emb_dim=16,
        s4_local_patch_size=2,
        s4_global_k=2,
        s4_depth=1,
    ),
    "max_vit": vit(
        "max_vit",
        "MaxViT",
        picture(1, 3, 32, 32),
        num_classes=5,
        dim=16,
        depth=(1, 1),
        dim_head=8,
        window_size=4,
    ),
    "nest": vit(
        "nest",
        "NesT",
        image_size=32,
        patch_size=4,
        num_classes=5,
        dim=16,
        heads=2,
        num_hierarchies=2,
        block_repeats=(1, 1),
        dim_head=8,
    ),
    "mobile_vit": vit(
        "mobile_vit",
        "MobileViT",
        picture(2, 3, 64, 64),
        image_size=(64, 64),
        dims=[16, 24, 32],
        channels=[8, 16, 16, 16, 16, 16, 24, 24, 32, 32, 40],
        num_classes=5,
    ),
    "xcit": plain("xcit", "XCiT", cls_depth=1, local_patch_kernel_size=3),
    "sep_vit": vit(
        "sep_vit",
        "SepViT",
        picture(2, 3, 56, 56),
        num_classes=5,
        dim=16,
        depth=(1, 1),
        heads=(2, 2),
        dim_head=8,
    ),
    "vit_3d": vit(
        "vit_3d",
        "ViT",
        picture(2, 3, 4, 32, 32),
        image_size=32,
        image_patch_size=8,
        frames=4,
        frame_patch_size=2,
        num_classes=5,
        dim=32,
        depth=2,
        heads=4,
        mlp_dim=48,
        dim_head=8,
    ),
    "cross_vit": vit(
        "cross_vit",
        "CrossViT",
        picture(2, 3, 48, 48),
        image_size=48,
        num_classes=5,
        sm_dim=16,
        lg_dim=32,
        sm_patch_size=12,
        lg_patch_size=16,
        sm_enc_heads=2,
        sm_enc_mlp_dim=24,
        sm_enc_dim_head=8,
        lg_enc_depth=1,
        lg_enc_heads=2,
        lg_enc_mlp_dim=24,
        lg_enc_dim_head=8,
        cross_attn_heads=2,
        cross_attn_dim_head=8,
        depth=1,
    ),
    "crossformer": vit(
        "crossformer",
        "CrossFormer",
        picture(1, 3, 64, 64),
        dim=(64, 64, 64, 64),
        depth=(1, 1, 1, 1),
        global_window_size=(4, 4, 2, 1),
        local_window_size=2,
        num_classes=5,
    ),
    "regionvit": vit(
        "regionvit",
        "RegionViT",
        picture(1, 3, 128, 128),
        dim=(16, 16, 32, 32),
        depth=(1, 1, 1, 1),
        window_size=4,
        num_classes=5,
    ),
}
