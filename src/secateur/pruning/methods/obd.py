"""Optimal brain damage."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="obd",
    summary="The weights that raise the loss least to second order, ranked together.",
    source="LeCun et al. 1990",
    parts=(Part("obd", "weight", "all", "global"),),
)
