"""Fisher pruning."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="fisher",
    summary="The weights of the smallest empirical Fisher saliency, ranked together.",
    source="Theis et al. 2018, arXiv 1801.05787",
    parts=(Part("fisher", "weight", "all", "global"),),
)
