"""All networks of other people's making, by package."""

from __future__ import annotations

from foreign import (
    convolutional,
    family_decoders,
    family_encoders,
    family_pairs,
    family_pictures,
    family_sounds,
    graph_nets,
    monai_nets,
    others,
    vit_nets,
)
from foreign.journey import Builder

PACKAGES: dict[str, dict[str, Builder]] = {
    "transformers": {
        **family_encoders.TEXTS,
        **family_decoders.DECODERS,
        **family_pairs.PAIRED,
        **family_sounds.SOUNDS,
        **family_pictures.PICTURES,
    },
    "pytorchcv": convolutional.NETS,
    "timm": convolutional.TIMM_NETS,
    "monai": monai_nets.MONAI,
    "torch_geometric": graph_nets.GRAPHS,
    "vit_pytorch": vit_nets.VITS,
    "x_transformers": others.SEQUENCES,
    "segmentation_models": others.SEGMENTATION,
    "others": others.SOUND,
}
