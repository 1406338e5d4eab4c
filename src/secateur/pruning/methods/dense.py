"""The dense net with the same extra epochs."""

from secateur.pruning.method import Method

METHOD = Method(
    name="dense",
    summary="Control: nothing is pruned, and the same extra epochs are trained.",
    source="Blalock et al. 2020, arXiv 2003.03033, section 4",
    parts=(),
    schedule="incremental",
    control=True,
)
