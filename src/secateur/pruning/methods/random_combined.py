"""Random filters and random other weights: the control of the combined method."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="random-combined",
    summary="Control: convolution filters and other weights at random, as `combined` cuts.",
    source="Mittal et al. 2018, arXiv 1801.10447",
    parts=(
        Part("random", "channel", "conv", "layer"),
        Part("random", "weight", "non-conv", "global"),
    ),
    control=True,
)
