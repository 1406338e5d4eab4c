"""Growing regularisation."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="growing",
    summary="The filters of the smallest L1 norm, driven to zero by a penalty that grows.",
    source="Wang et al. 2021, arXiv 2012.09243",
    parts=(Part("magnitude", "channel", "conv", "layer"),),
    schedule="growing",
)
