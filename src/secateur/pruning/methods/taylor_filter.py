"""Taylor pruning, weight by weight."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="taylor-filter",
    summary="The filters whose weights change the loss least to first order, ranked together.",
    source="Molchanov et al. 2019, arXiv 1906.10771",
    parts=(Part("taylor", "channel", "conv", "global"),),
)
