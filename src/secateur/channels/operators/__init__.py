"""What each operator does to channels, one file a kind of operator, one table for all."""

from secateur.channels.operators import (
    attention,
    conv_linear,
    elementwise,
    embedding,
    experts,
    factory,
    gather,
    indexing,
    matmul,
    norm,
    packed_sequence,
    pooling,
    quantization,
    recurrent,
    reduction,
    reshape,
    where,
)
from secateur.channels.operators.registry import OPERATORS

__all__ = [
    "OPERATORS",
    "attention",
    "conv_linear",
    "elementwise",
    "embedding",
    "experts",
    "factory",
    "gather",
    "indexing",
    "matmul",
    "norm",
    "packed_sequence",
    "pooling",
    "quantization",
    "recurrent",
    "reduction",
    "reshape",
    "where",
]
