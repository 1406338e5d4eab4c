"""Network trimming."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="apoz",
    summary="The filters whose activations are zero most often, layer by layer.",
    source="Hu et al. 2016, arXiv 1607.03250",
    parts=(Part("apoz", "channel", "conv", "layer"),),
)
