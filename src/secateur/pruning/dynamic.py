"""Dynamic: connections move while a net is trained; as many grow as were dropped."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.selection import Ranked, select

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Dynamic:
    """When connections move, and how many: the schedule of Evci et al. 2020.

    At the steps `every`, `2 every`, ... before `end`, each layer drops the share
    `drop / 2 * (1 + cos(pi * step / end))` of its connections, rounded down, and grows as many
    (arXiv 1911.11134, section 3, "update schedule" and equation 1).

    Attributes:
        end: From this step on nothing moves.
        every: Steps between two updates.
        drop: The share that is dropped at the beginning.

    Raises:
        MaskError: The numbers describe no schedule.

    Example:
        >>> plan = Dynamic(end=300, every=100, drop=0.5)
        >>> [(plan.last_cut(step), plan.moved(step, 80)) for step in (100, 200)]
        [(100, 30), (200, 10)]
        >>> plan.last_cut(99), plan.last_cut(300)
        (None, 200)
    """

    end: int
    every: int = 100
    drop: float = 0.3

    def __post_init__(self) -> None:
        for name, value, right in (
            ("end", self.end, self.end >= 0),
            ("every", self.every, self.every >= 1),
            ("drop", self.drop, 0 <= self.drop < 1),
        ):
            if not right:
                raise MaskError(
                    "planning dynamic sparse training",
                    name,
                    given=f"{value}",
                    expected="end >= 0, every >= 1, 0 <= drop < 1",
                    remedy="Mend this number; end and every are steps of the optimizer.",
                )

    def last_cut(self, step: int) -> int | None:
        """The step of the last update that is planned up to a step; None before the first one."""
        last = min(step, self.end - 1) // self.every * self.every
        return last if last > 0 else None

    def moved(self, step: int, kept: int) -> int:
        """How many of a layer's connections are dropped, and grown, at a step.

        Args:
            step: Of the optimizer.
            kept: How many connections the layer has.
        """
        share = self.drop / 2 * (1 + math.cos(math.pi * min(step, self.end) / max(self.end, 1)))
        return math.floor(share * kept + _ROUNDING)


def rewired(
    weight: Tensor, kept: Tensor, growth: Tensor, count: int, barred: Tensor | None = None
) -> Tensor:
    """One layer's connections after some were dropped and as many grown.

    Those of the smallest absolute weight are dropped; of all that are then none, those of the
    highest `growth` are grown, one that was just dropped perhaps among them (Evci et al. 2020,
    arXiv 1911.11134, algorithm 1). Of equal ones the first is dropped, and the last is grown.

    Args:
        weight: The layer's.
        kept: Bool, of its shape: its connections, more than `count` of them.
        growth: Of its shape: higher = grown.
        count: How many.
        barred: Bool, of its shape: what may never grow.

    Returns:
        Bool, of the weight's shape, with as many connections as `kept`.

    Example:
        >>> weight = torch.tensor([5.0, 0.0, 1.0, 0.0])
        >>> rewired(weight, weight != 0, torch.tensor([9.0, 2.0, 0.0, 3.0]), 1).tolist()
        [True, False, False, True]
    """
    if count == 0:
        return kept
    gone = ~kept.reshape(-1)
    scores = weight.detach().abs().reshape(-1)
    left = _without(scores, gone, count)
    taken = left if barred is None else left | barred.reshape(-1)
    free = taken.numel() - int(torch.count_nonzero(taken))
    grown = _without(growth.detach().reshape(-1), taken, free - count)
    return (left | grown).reshape(kept.shape)


def _without(scores: Tensor, out: Tensor, count: int) -> Tensor:
    """What is left without the `count` lowest scores, and without what was out before."""
    (left,), _ = select(Ranked([scores], [out], [1]), int(torch.count_nonzero(out)) + count)
    return left
