"""Magnitude pruning."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="magnitude",
    summary="The smallest weights of all layers, ranked together, level after level.",
    source="Han et al. 2015, arXiv 1506.02626",
    parts=(Part("magnitude", "weight", "all", "global"),),
    schedule="incremental",
)
