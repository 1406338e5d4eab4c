"""SynFlow."""

from pydantic import Field

from secateur.pruning.method import Method, Part
from secateur.settings import MOST_EPOCHS
from secateur.spec import MethodSpec


class Options(MethodSpec):
    """`rounds`: how often the net is scored anew on the way to a level (100 in the paper)."""

    rounds: int = Field(default=100, ge=1, le=MOST_EPOCHS)


METHOD = Method(
    name="synflow",
    summary="The weights of a new net that least flows through, in rounds, without data.",
    source="Tanaka et al. 2020, arXiv 2006.05467",
    parts=(Part("synflow", "weight", "all", "global"),),
    start="untrained",
    options=Options,
)
