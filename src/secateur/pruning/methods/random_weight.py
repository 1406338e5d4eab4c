"""Random weights: the control of magnitude pruning."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="random-weight",
    summary="Control: weights drawn at random from all layers, level after level.",
    source="Control for Han et al. 2015, arXiv 1506.02626",
    parts=(Part("random", "weight", "all", "global"),),
    schedule="incremental",
    control=True,
)
