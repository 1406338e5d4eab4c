"""Network slimming."""

from pydantic import Field

from secateur.pruning.method import Method, Part, Preparation
from secateur.settings import MOST_EPOCHS
from secateur.spec import MethodSpec


class Options(MethodSpec):
    """`sparsity_epochs` and `penalty`: the length of sparsity training, the weight of its L1 term.

    The term is the sum of the absolute batch-norm scales (equation 1).
    """

    sparsity_epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS)
    penalty: float = Field(default=1e-3, gt=0)


METHOD = Method(
    name="slimming",
    summary="The filters whose batch-norm scale sparsity training drove lowest, ranked together.",
    source="Liu et al. 2017, arXiv 1708.06519",
    parts=(Part("scale", "channel", "conv", "global"),),
    prepare=Preparation(
        name="slim",
        title="sparsity training",
        run="secateur.training.slim:prepare",
        gives="norm-scales",
        epochs="sparsity_epochs",
        options=("sparsity_epochs", "penalty"),
    ),
    options=Options,
)
