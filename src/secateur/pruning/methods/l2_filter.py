"""L2 filter pruning."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="l2-filter",
    summary="The convolution filters of the smallest L2 norm, layer by layer.",
    source="Li et al. 2016, arXiv 1608.08710",
    parts=(Part("l2", "channel", "conv", "layer"),),
)
