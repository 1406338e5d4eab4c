"""A criterion and a method from outside the package: `own:METHOD` in a study file."""

from dataclasses import replace

from torch.nn.functional import normalize

from secateur.pruning.method import Method, Part
from secateur.registry import CRITERIA, METHODS


def cosine(parameter, rows, statistics):  # noqa: ARG001
    """The distance to the most similar other filter (Ayinde and Zurada 2018, arXiv 1802.07653)."""
    directions = normalize(rows, dim=1)
    return 1 - (directions @ directions.T).fill_diagonal_(-1).amax(dim=1)


CRITERIA.add("cosine", cosine)
METHOD = Method(
    name="redundant",
    summary="Filters that point the same way as another of their layer.",
    source="Ayinde and Zurada 2018, arXiv 1802.07653",
    parts=(Part("cosine", "channel", "conv", "layer"),),
)
GRADUAL = replace(
    METHODS["magnitude"],
    name="gradual",
    summary="Magnitude pruning by cubic cuts while the net is retrained.",
    source="Zhu and Gupta 2017, arXiv 1710.01878",
    schedule="gradual",
)
