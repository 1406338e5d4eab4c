"""Layer-adaptive magnitude pruning."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="lamp",
    summary="The smallest weights of all layers by LAMP score, ranked together, level after level.",
    source="Lee et al. 2021, arXiv 2010.07611",
    parts=(Part("lamp", "weight", "all", "global"),),
    schedule="incremental",
)
