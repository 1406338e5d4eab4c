"""What each operator does to channels, one file a kind of operator, one table for all."""

from secateur.channels.rules import (
    attention,
    contraction,
    elementwise,
    experts,
    factory,
    gathering,
    lookup,
    masking,
    movement,
    norm,
    packing,
    product,
    recurrent,
    reduction,
    reshape,
    spatial,
)
from secateur.channels.rules.table import RULES

__all__ = [
    "RULES",
    "attention",
    "contraction",
    "elementwise",
    "experts",
    "factory",
    "gathering",
    "lookup",
    "masking",
    "movement",
    "norm",
    "packing",
    "product",
    "recurrent",
    "reduction",
    "reshape",
    "spatial",
]
