"""Taylor pruning in activations."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="taylor-activation",
    summary="The filters whose outputs change each example's loss least, ranked together.",
    source="Molchanov et al. 2017, arXiv 1611.06440",
    parts=(Part("taylor-activation", "channel", "conv", "global", normalize="l2"),),
)
