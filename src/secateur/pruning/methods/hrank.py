"""HRank."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="hrank",
    summary="The filters whose feature maps have the lowest rank, layer by layer.",
    source="Lin et al. 2020, arXiv 2002.10179",
    parts=(Part("hrank", "channel", "conv", "layer"),),
)
