"""SparseGPT."""

from pydantic import Field

from secateur.pruning.method import Method, Part
from secateur.settings import LARGEST_COUNT
from secateur.spec import MethodSpec


class Options(MethodSpec):
    """`block` and `damping`: inputs that are cut at once, and what is added to their moments.

    The damping is a share of the mean square input; 128 and 0.01 are the paper's.
    """

    block: int = Field(default=128, ge=1, le=LARGEST_COUNT)
    damping: float = Field(default=0.01, gt=0)


METHOD = Method(
    name="sparsegpt",
    summary="The weights that the rest of each layer can best make up for; the rest is updated.",
    source="Frantar and Alistarh 2023, arXiv 2301.00774",
    parts=(Part("sparsegpt", "weight", "all", "layer"),),
    options=Options,
)
