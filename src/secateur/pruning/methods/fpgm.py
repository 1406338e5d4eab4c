"""Filter pruning via geometric median."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="fpgm",
    summary="The convolution filters closest to all others of their layer.",
    source="He et al. 2019, arXiv 1811.00250",
    parts=(Part("fpgm", "channel", "conv", "layer"),),
)
