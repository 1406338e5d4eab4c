"""The pruned architecture trained from scratch."""

from secateur.pruning.method import Method

METHOD = Method(
    name="scratch",
    summary="Control: another method's cut net, initialised anew, trained with its whole budget.",
    source="Liu et al. 2018, arXiv 1810.05270",
    parts=(),
    control=True,
    start="initial",
)
