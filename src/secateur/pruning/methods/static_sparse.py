"""Static sparse training: the control of those in which connections move."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="static-sparse",
    summary="Control: a sparse net from scratch, its connections drawn once and for all.",
    source="Control for Evci et al. 2020, arXiv 1911.11134",
    parts=(Part("random", "weight", "all", "layer", allocation="erk"),),
    control=True,
    start="untrained",
)
