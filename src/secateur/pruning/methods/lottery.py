"""Lottery tickets: iterative magnitude pruning with rewinding."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="lottery",
    summary="The smallest weights, level after level; what is left goes back to where it began.",
    source="Frankle and Carbin 2019, arXiv 1803.03635; Frankle et al. 2020, arXiv 1912.05671",
    parts=(Part("magnitude", "weight", "all", "global"),),
    schedule="incremental",
    rewinds=True,
)
