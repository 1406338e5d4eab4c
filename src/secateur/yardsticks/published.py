"""What is published: every figure with the table or the sentence in which it stands.

Each was looked up in its paper. Errors are in per cent, losses in points: the error of the pruned
net less that of the dense one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from secateur.errors import UnknownNameError
from secateur.foundation.level import Levels

Unit = Literal["points", "x"]


@dataclass(frozen=True)
class Yardstick:
    """One published figure, and where ours is read.

    Attributes:
        name: Its name.
        source: Paper, and the place in it.
        says: What stands there, in words.
        value: The figure that ours is held against.
        unit: `points` of error or accuracy; `x`, how many times smaller.
        higher: Whether more is better.
        study: Which study ours is read from: a key of `secateur.yardsticks.studies.STUDIES`.
        reading: How: a key of `secateur.yardsticks.readings.READINGS`.
        method: Of which method.
        level: At which of its levels; empty where the reading chooses one.
    """

    name: str
    source: str
    says: str
    value: float
    unit: Unit
    higher: bool
    study: str
    reading: str
    method: str
    level: Levels = ()


_HAN = "Han et al. 2015, arXiv 1506.02626, table 1"
_DEEP = "Han et al. 2016, arXiv 1510.00149, table 1"
_SLIMMING = "Liu et al. 2017, arXiv 1708.06519, table 3"
_SNIP = "Lee et al. 2019, arXiv 1810.02340, table 1"
_LOTTERY = "Frankle and Carbin 2019, arXiv 1803.03635, section 2"
_RENDA = "Renda et al. 2020, arXiv 2003.02389, the authors' data file, medians of 3"
_300, _5 = "lenet-300-100", "lenet-5"

YARDSTICKS: tuple[Yardstick, ...] = (
    Yardstick(
        "han-lenet-300-100", _HAN, "LeNet-300-100, 12x: error 1.64 -> 1.59",
        -0.05, "points", False, _300, "loss", "magnitude", (0.917,),
    ),
    Yardstick(
        "han-lenet-5", _HAN, "LeNet-5, 12x: error 0.80 -> 0.77",
        -0.03, "points", False, _5, "loss", "magnitude", (0.917,),
    ),
    Yardstick(
        "bytes-lenet-300-100", _DEEP, "LeNet-300-100, 1070 -> 27 KB: error 1.64 -> 1.58",
        40, "x", True, _300, "bytes", "magnitude",
    ),
    Yardstick(
        "bytes-lenet-5", _DEEP, "LeNet-5, 1720 -> 44 KB: error 0.80 -> 0.74",
        39, "x", True, _5, "bytes", "magnitude",
    ),
    Yardstick(
        "slimming-mlp", _SLIMMING, "784-500-300-10, 84.4 % of parameters gone: error 1.43 -> 1.49",
        0.06, "points", False, "mlp-500-300", "loss", "slimming",
    ),
    Yardstick(
        "snip-lenet-300-100-95", _SNIP, "LeNet-300-100, 95 %: error 1.7 -> 1.6",
        -0.1, "points", False, _300, "loss", "snip", (0.95,),
    ),
    Yardstick(
        "snip-lenet-300-100-98", _SNIP, "LeNet-300-100, 98 %: error 1.7 -> 2.4",
        0.7, "points", False, _300, "loss", "snip", (0.98,),
    ),
    Yardstick(
        "snip-lenet-5-98", _SNIP, "LeNet-5, 98 %: error 0.9 -> 0.8",
        -0.1, "points", False, _5, "loss", "snip", (0.98,),
    ),
    Yardstick(
        "snip-lenet-5-99", _SNIP, "LeNet-5, 99 %: error 0.9 -> 1.1",
        0.2, "points", False, _5, "loss", "snip", (0.99,),
    ),
    Yardstick(
        "lottery-13", _LOTTERY, "LeNet-300-100, 13.5 % left: over 0.3 points above the whole net",
        -0.3, "points", False, "lottery", "loss", "lottery", (0.866,),
    ),
    Yardstick(
        "lottery-4", _LOTTERY, "LeNet-300-100, 3.6 % left: back at the whole net's accuracy",
        0.0, "points", False, "lottery", "loss", "lottery", (0.965,),
    ),
    Yardstick(
        "renda-rewinding", _RENDA,
        "ResNet-20, 10.7 % left, one shot: 88.4 fine-tuned, 89.2 with rewound rates",
        0.8, "points", True, "resnet20", "gain", "magnitude", (0.893,),
    ),
)  # fmt: skip


def chosen(names: Collection[str], studies: Collection[str]) -> tuple[Yardstick, ...]:
    """The yardsticks of these names, all if there is none, of the studies that there are.

    Raises:
        UnknownNameError: No yardstick has this name.

    Example:
        >>> [one.name for one in chosen(["han-lenet-5"], ["lenet-5"])]
        ['han-lenet-5']
    """
    known = _names(YARDSTICKS)
    for name in names:
        if name not in known:
            raise UnknownNameError("yardstick", name, known)
    wanted = names or known
    return tuple(one for one in YARDSTICKS if one.name in wanted and one.study in studies)


def _names(yardsticks: Iterable[Yardstick]) -> list[str]:
    return [one.name for one in yardsticks]
