"""Pruning by mean activation."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="mean-activation",
    summary="The filters of the smallest mean activation, layer by layer.",
    source="Molchanov et al. 2017, arXiv 1611.06440",
    parts=(Part("mean-activation", "channel", "conv", "layer"),),
)
