"""SNIP."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="snip",
    summary="The connections of a new net that its loss depends on least, ranked together.",
    source="Lee et al. 2019, arXiv 1810.02340",
    parts=(Part("snip", "weight", "all", "global"),),
    start="untrained",
)
