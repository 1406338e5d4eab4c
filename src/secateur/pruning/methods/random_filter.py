"""Random filters: the control of the filter methods."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="random-filter",
    summary="Control: convolution filters drawn at random, layer by layer.",
    source="Mittal et al. 2018, arXiv 1801.10447",
    parts=(Part("random", "channel", "conv", "layer"),),
    control=True,
)
