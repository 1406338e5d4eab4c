"""SET: sparse evolutionary training.

The updates are those of `rigl`, as in the comparison of Evci et al. 2020: the smallest weights of
either sign go, less and less of them. Mocanu et al. drop a fixed share of each sign every epoch.
"""

from typing import Literal

from secateur.pruning.method import Method, Part
from secateur.spec import MethodSpec


class Options(MethodSpec):
    """`growth`: what connections are grown by; here they are drawn."""

    growth: Literal["random", "gradient"] | None = "random"


METHOD = Method(
    name="set",
    summary="A sparse net from scratch: small weights are dropped and random ones grown.",
    source="Mocanu et al. 2018, arXiv 1707.04780",
    parts=(Part("random", "weight", "all", "layer", allocation="erk"),),
    schedule="dynamic",
    start="untrained",
    options=Options,
)
