"""Movement pruning, to first order."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="movement",
    summary="The weights that the mean gradient moves towards zero, ranked together.",
    source="Sanh et al. 2020, arXiv 2005.07683",
    parts=(Part("movement", "weight", "all", "global"),),
)
