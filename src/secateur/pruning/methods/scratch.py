"""The pruned architecture trained from scratch."""

from pydantic import field_validator

from secateur.pruning.method import Method
from secateur.registry import METHODS
from secateur.spec import MethodSpec


class Options(MethodSpec):
    """`like`: the method whose cut nets are trained from scratch."""

    like: str = "l1-filter"

    @field_validator("like")
    @classmethod
    def _known(cls, name: str) -> str:
        return METHODS.check(name)


METHOD = Method(
    name="scratch",
    summary="Control: another method's cut net, initialised anew, trained with its whole budget.",
    source="Liu et al. 2018, arXiv 1810.05270",
    parts=(),
    control=True,
    start="initial",
    options=Options,
)
