"""What a criterion is, and the statistics that it may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Statistics:
    """What is known beside the weights; gathered once, by whoever needs it.

    Attributes:
        scales: Weight name -> the scale of the batch norm behind each filter, shape `[filters]`.
        seed: For criteria that draw.
    """

    scales: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0


class Criterion(Protocol):
    """A pure function from units of one weight to one score a unit; higher = keep.

    The granularity decides what a unit is: with `weight` the rows hold one weight each, with
    `filter` and `channel` they hold the weights that compute one channel. The model is never
    touched.
    """

    def __call__(self, parameter: str, rows: Tensor, statistics: Statistics, /) -> Tensor:
        """Score `rows`, shape `[units, weights per unit]`, as shape `[units]`."""
        ...
