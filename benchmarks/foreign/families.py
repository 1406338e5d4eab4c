"""Families of `transformers`, small, built from their configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from foreign.journey import Builder, Net

TEXT: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA = {**TEXT, "num_key_value_heads": 2, "head_dim": 8}
EXPERTS = {
    **LLAMA,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 24,
    "shared_expert_intermediate_size": 24,
}
SEQ2SEQ = {
    "vocab_size": 50,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}
T5 = {
    "vocab_size": 50,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
WAVE = {
    **TEXT,
    "conv_dim": (16, 16),
    "conv_stride": (4, 2),
    "conv_kernel": (5, 3),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
SEGFORMER: dict[str, Any] = {
    "hidden_sizes": [8, 16], "depths": [1, 1], "num_encoder_blocks": 2,
    "num_attention_heads": [1, 2], "sr_ratios": [2, 1], "patch_sizes": [3, 3], "strides": [2, 2],
    "mlp_ratios": [2, 2],
}  # fmt: skip
IMAGE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 32,
    "patch_size": 8,
}
Inputs = Callable[[], Any]


def ids(**more: Any) -> Any:
    return {"input_ids": torch.randint(3, 50, (2, 9)), "return_dict": False, **more}


def causal() -> Any:
    return ids(use_cache=False)


def pairs() -> Any:
    return causal() | {"decoder_input_ids": torch.randint(3, 50, (2, 5))}


def wave(length: int = 400) -> Any:
    return {"input_values": torch.randn(2, length), "return_dict": False}


def pixels(size: int = 32, channels: int = 3) -> Any:
    return {"pixel_values": torch.randn(2, channels, size, size), "return_dict": False}


def large() -> Any:
    return pixels(64)


def frames() -> Any:
    return {"pixel_values": torch.randn(2, 4, 3, 32, 32), "return_dict": False}


def family(name: str, config: dict[str, Any], inputs: Inputs, model: str = "Model") -> Builder:
    def build() -> Net:
        import transformers

        settings = getattr(transformers, f"{name}Config")(**config)
        settings._attn_implementation = "eager"
        return getattr(transformers, f"{name}{model}")(settings), inputs()

    return build


def resnet_backbone() -> dict[str, Any]:
    from transformers import ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], out_features=["stage4"]
    )
    return {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "backbone_config": backbone,
        "backbone_kwargs": None,
        "num_queries": 5,
    }


DETR = {k: v for k, v in SEQ2SEQ.items() if "token" not in k and "vocab" not in k}


def detector(name: str, more: dict[str, Any], model: str = "Model") -> Builder:
    def build() -> Net:
        return family(name, {**DETR, **resnet_backbone(), **more}, large, model)()

    return build


def real_time(name: str, backbone: str, model: str = "Model") -> Builder:
    def build() -> Net:
        import transformers

        sizes = {
            "embedding_size": 8,
            "hidden_sizes": [8, 16, 24, 32],
            "depths": [1, 1, 1, 1],
            "out_features": ["stage2", "stage3", "stage4"],
            "return_idx": [1, 2, 3],
        }
        if backbone == "HGNetV2Config":
            sizes |= {
                "stem_channels": [3, 8, 8],
                "stage_in_channels": [8, 8, 16, 24],
                "stage_mid_channels": [8, 8, 8, 8],
                "stage_out_channels": [8, 16, 24, 32],
                "stage_num_blocks": [1, 1, 1, 1],
                "stage_numb_of_layers": [2, 2, 2, 2],
            }
        config = {
            "backbone_config": getattr(transformers, backbone)(**sizes),
            "encoder_in_channels": [16, 24, 32],
            "feat_strides": [8, 16, 32],
            "encoder_hidden_dim": 32,
            "encoder_ffn_dim": 48,
            "encoder_attention_heads": 4,
            "decoder_in_channels": [32, 32, 32],
            "d_model": 32,
            "decoder_ffn_dim": 48,
            "decoder_attention_heads": 4,
            "decoder_layers": 2,
            "num_queries": 5,
            "num_denoising": 0,
            "num_labels": 4,
            "anchor_image_size": None,
        }
        return family(name, config, large, model)()

    return build
