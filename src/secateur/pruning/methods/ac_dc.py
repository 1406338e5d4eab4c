"""AC/DC: alternating compressed and decompressed training."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="ac-dc",
    summary="From scratch, cut to the largest weights and whole by turns, and cut at the end.",
    source="Peste et al. 2021, arXiv 2106.12379",
    parts=(Part("magnitude", "weight", "all", "global"),),
    schedule="alternating",
    start="untrained",
)
