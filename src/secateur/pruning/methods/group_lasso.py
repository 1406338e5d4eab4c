"""Group lasso on channel groups."""

from pydantic import Field

from secateur.pruning.method import NET, Method, Part, Preparation
from secateur.settings import MOST_EPOCHS
from secateur.spec import MethodSpec


class Options(MethodSpec):
    """`sparsity_epochs` and `penalty`: the length of sparsity training, the weight of its term.

    The term is the sum of the squared norms of all channel groups, each by its own strength.
    """

    sparsity_epochs: int = Field(default=10, ge=1, le=MOST_EPOCHS)
    penalty: float = Field(default=1e-4, gt=0)


METHOD = Method(
    name="group-lasso",
    summary="The channels that group sparsity training made small in every layer they live in.",
    source="Fang et al. 2023, arXiv 2301.12900",
    parts=(Part("group-norm", "channel", "conv", "global", normalize="mean"),),
    prepare=Preparation(
        name="group-sparsity",
        title="group sparsity training",
        run="secateur.training.group_lasso:prepare",
        gives=NET,
        epochs="sparsity_epochs",
        options=("sparsity_epochs", "penalty"),
    ),
    options=Options,
)
