"""Wanda."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="wanda",
    summary="The smallest products of weight and input norm, within each output.",
    source="Sun et al. 2023, arXiv 2306.11695",
    parts=(Part("wanda", "weight", "all", "output"),),
)
