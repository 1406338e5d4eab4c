"""Families of `transformers`, built from configurations, tiny and with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Family = tuple[nn.Module, Any]
WIDTHS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TEXT = {"vocab_size": 50, "intermediate_size": 48, **WIDTHS}
IMAGE = {"image_size": 32, "patch_size": 8, "intermediate_size": 48, **WIDTHS}
SEGFORMER = {
    "hidden_sizes": [8, 16], "depths": [1, 1], "num_encoder_blocks": 2,
    "num_attention_heads": [1, 2], "sr_ratios": [2, 1], "patch_sizes": [3, 3], "strides": [2, 2],
    "mlp_ratios": [2, 2],
}  # fmt: skip


def pixels(size: int = 32) -> dict[str, Any]:
    return {"pixel_values": torch.randn(2, 3, size, size), "return_dict": False}


def ids(**more: Any) -> dict[str, Any]:
    return {"input_ids": torch.randint(0, 50, (2, 7)), "return_dict": False, **more}


def _build(
    name: str, config: dict[str, Any], inputs: dict[str, Any], model: str = "Model"
) -> Family:
    import transformers

    torch.manual_seed(0)
    settings = getattr(transformers, f"{name}Config")(**config)
    settings._attn_implementation = "eager"
    return getattr(transformers, f"{name}{model}")(settings), inputs


def _images() -> dict[str, Callable[[], Family]]:
    stages = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2]}
    swin = {
        "image_size": 32,
        "patch_size": 4,
        "embed_dim": 16,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": 4,
    }
    return {
        "resnet": lambda: _build("ResNet", stages, pixels()),
        "regnet": lambda: _build("RegNet", {**stages, "groups_width": 4}, pixels()),
        "efficientnet": lambda: _build(
            "EfficientNet",
            {
                "width_coefficient": 0.25,
                "depth_coefficient": 0.2,
                "image_size": 32,
                "hidden_dim": 320,
            },
            pixels(),
        ),
        "mobilenet_v1": lambda: _build(
            "MobileNetV1", {"depth_multiplier": 0.25, "image_size": 32}, pixels()
        ),
        "mobilenet_v2": lambda: _build(
            "MobileNetV2", {"depth_multiplier": 0.25, "image_size": 32}, pixels()
        ),
        "convnext": lambda: _build(
            "ConvNext", {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2}, pixels()
        ),
        "convnext_v2": lambda: _build(
            "ConvNextV2", {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2}, pixels()
        ),
        "vit": lambda: _build("ViT", IMAGE, pixels()),
        "deit": lambda: _build("DeiT", IMAGE, pixels()),
        "beit": lambda: _build("Beit", IMAGE, pixels()),
        "data2vec_vision": lambda: _build("Data2VecVision", IMAGE, pixels()),
        "dinov2": lambda: _build("Dinov2", {**WIDTHS, "image_size": 32, "patch_size": 8}, pixels()),
        "vit_msn": lambda: _build("ViTMSN", IMAGE, pixels()),
        "yolos": lambda: _build(
            "Yolos", {**IMAGE, "image_size": [32, 32], "num_detection_tokens": 3}, pixels()
        ),
        "swin": lambda: _build("Swin", swin, pixels()),
        "swin_v2": lambda: _build("Swinv2", swin, pixels()),
        "segformer": lambda: _build(
            "Segformer",
            SEGFORMER,
            pixels(),
        ),
        "pvt": lambda: _build(
            "Pvt",
            {
                "image_size": 32,
                "hidden_sizes": [8, 16],
                "depths": [1, 1],
                "num_encoder_blocks": 2,
                "num_attention_heads": [1, 2],
                "sequence_reduction_ratios": [2, 1],
                "patch_sizes": [4, 2],
                "strides": [4, 2],
                "mlp_ratios": [2, 2],
            },
            pixels(),
        ),
        "levit": lambda: _build(
            "Levit",
            {
                "image_size": 64,
                "hidden_sizes": [16, 24, 32],
                "num_attention_heads": [2, 3, 4],
                "key_dim": [4, 4, 4],
                "depths": [1, 1, 1],
            },
            pixels(64),
        ),
        "poolformer": lambda: _build(
            "PoolFormer",
            {
                "hidden_sizes": [8, 16],
                "depths": [1, 1],
                "num_encoder_blocks": 2,
                "patch_sizes": [3, 3],
                "strides": [2, 2],
                "padding": [1, 1],
            },
            pixels(),
        ),
        "clip_vision": lambda: _build("CLIPVision", IMAGE, pixels()),
        "siglip_vision": lambda: _build("SiglipVision", IMAGE, pixels()),
        "bit": lambda: _build(
            "Bit",
            {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "num_groups": 4},
            pixels(),
        ),
    }


def _texts() -> dict[str, Callable[[], Family]]:
    llama = {**TEXT, "num_key_value_heads": 2}
    plain = {"use_cache": False}
    return {
        "bert": lambda: _build("Bert", TEXT, ids()),
        "roberta": lambda: _build("Roberta", TEXT, ids()),
        "electra": lambda: _build("Electra", {**TEXT, "embedding_size": 16}, ids()),
        "distilbert": lambda: _build(
            "DistilBert",
            {"vocab_size": 50, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48},
            ids(),
        ),
        "gpt2": lambda: _build(
            "GPT2", {"vocab_size": 50, "n_embd": 32, "n_layer": 2, "n_head": 4}, ids(**plain)
        ),
        "gpt_neox": lambda: _build("GPTNeoX", TEXT, ids(**plain)),
        "opt": lambda: _build(
            "OPT",
            {
                "vocab_size": 50,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "ffn_dim": 48,
                "word_embed_proj_dim": 32,
            },
            ids(**plain),
        ),
        "llama": lambda: _build("Llama", llama, ids(**plain)),
        "mistral": lambda: _build("Mistral", llama, ids(**plain)),
        "qwen2": lambda: _build("Qwen2", llama, ids(**plain)),
        "gemma": lambda: _build("Gemma", {**llama, "head_dim": 8}, ids(**plain)),
        "phi": lambda: _build("Phi", TEXT, ids(**plain)),
        "clip_text": lambda: _build("CLIPText", {**TEXT, "eos_token_id": 49}, ids()),
        "t5_encoder": lambda: _build(
            "T5",
            {
                "vocab_size": 50,
                "d_model": 32,
                "d_kv": 8,
                "d_ff": 48,
                "num_layers": 2,
                "num_heads": 4,
            },
            ids(),
            "EncoderModel",
        ),
        "whisper_encoder": _whisper,
    }


def _whisper() -> Family:
    from transformers import WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=32,
        encoder_layers=2,
        encoder_attention_heads=4,
        encoder_ffn_dim=48,
        num_mel_bins=8,
        max_source_positions=10,
    )
    config._attn_implementation = "eager"
    return WhisperEncoder(config), {"input_features": torch.randn(2, 8, 20), "return_dict": False}


FAMILIES = {**_images(), **_texts()}
