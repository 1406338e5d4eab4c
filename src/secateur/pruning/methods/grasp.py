"""GraSP."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="grasp",
    summary="The connections of a new net that its gradient flows best without, ranked together.",
    source="Wang et al. 2020, arXiv 2002.07376",
    parts=(Part("grasp", "weight", "all", "global"),),
    start="untrained",
)
