"""Network slimming."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="slimming",
    summary="The filters whose batch-norm scale sparsity training drove lowest, ranked together.",
    source="Liu et al. 2017, arXiv 1708.06519",
    parts=(Part("scale", "channel", "conv", "global"),),
    sparsity_training=True,
)
