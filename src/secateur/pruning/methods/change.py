"""Pruning by how far training has moved each weight."""

from secateur.pruning.method import Method, Part

METHOD = Method(
    name="change",
    summary="The weights that training has moved least, ranked together.",
    source="Zhou et al. 2019, arXiv 1905.01067",
    parts=(Part("change", "weight", "all", "global"),),
)
