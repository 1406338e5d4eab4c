"""L1 filter pruning."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="l1-filter",
    summary="The convolution filters of the smallest L1 norm, layer by layer.",
    source="Li et al. 2016, arXiv 1608.08710",
    parts=(Part("magnitude", "channel", "conv", "layer"),),
)
