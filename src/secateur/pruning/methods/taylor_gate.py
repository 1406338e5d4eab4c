"""Taylor pruning in gates."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="taylor-gate",
    summary="The filters whose gates change the loss least to first order, ranked together.",
    source="Molchanov et al. 2019, arXiv 1906.10771",
    parts=(Part("taylor-gate", "channel", "conv", "global"),),
)
