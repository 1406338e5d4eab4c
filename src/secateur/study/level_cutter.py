"""Level cutters: they bring a net to a level of its method while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import nn

from secateur.foundation.level import Share
from secateur.pruning.criterion import Statistics
from secateur.pruning.cutter import Cutter, Schedule
from secateur.pruning.groups import Groups
from secateur.pruning.layers import ALL_LAYERS, Layers
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.optimizers import wrapped
from secateur.pruning.select import cut


class Course(Schedule, Protocol):
    """A schedule of sparsities: `Gradual` or `Alternating`."""

    def towards(self, level: float, step: int) -> float:
        """The sparsity of a step on the way to a level."""


class LevelCutter(Cutter):
    """Cuts by a schedule of sparsities; within what was cut before.

    Each share of the level, be it of a part or of a pattern of layers, goes its way by itself, so
    the last cut is at the level exactly. Weights are scored as they are at each cut; channels are
    traced and statistics are taken once, of the net as it was.

    Args:
        parts: The method's cuts.
        level: The sparsities at the end.
        schedule: How they come there.
        groups_of: Gives a part's channels.
        statistics: What the criteria read beside the weights.
        previous: What is cut before the first step.
        layers: The study's choice of layers.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        level: Sequence[Share],
        schedule: Course,
        *,
        groups_of: Callable[[Part], Groups],
        statistics: Statistics,
        previous: Masks | None = None,
        layers: Layers = ALL_LAYERS,
    ) -> None:
        super().__init__(previous, schedule)
        self._first = previous
        self._course = schedule
        self._parts = parts
        self._level = level
        self._statistics = statistics
        self._layers = layers
        self._known: dict[tuple[str, str], Groups] = {
            (part.granularity, part.scope): groups_of(part) for part in parts if part.cuts_channels
        }

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The masks of a planned step, applied."""
        return self._cut_within(self.masks, model, planned)

    def _cut_within(self, previous: Masks | None, model: nn.Module, planned: int) -> Masks:
        return cut(
            model,
            self._parts,
            [self._at(share, planned) for share in self._level],
            groups_of=lambda part: self._known[part.granularity, part.scope],
            statistics=self._statistics,
            previous=previous,
            layers=self._layers,
        ).apply(model)

    def _at(self, share: Share, planned: int) -> Share:
        towards = self._course.towards
        if isinstance(share, tuple):
            return tuple((pattern, towards(one, planned)) for pattern, one in share)
        return towards(share, planned)


class AlternatingCutter(LevelCutter):
    """Cuts a net and makes it whole by turns: AC/DC (Peste et al. 2021, arXiv 2106.12379).

    When it is whole again, what was cut starts from zero, and the optimizer begins anew, as in
    the authors' experiments. `Alternating` says when; it is made as a `LevelCutter` is.
    """

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The masks of a planned step, applied; of a whole net those from before the training."""
        if self._is_whole(planned):
            return self._first or Masks({})
        return self._cut_within(self._first, model, planned)

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """So many steps of the optimizer are done: cut, or be whole, where the schedule says so."""
        before = self._last
        super().step(model, optimizers, step)
        if self._last is not None and self._last != before and self._is_whole(self._last):
            for optimizer in wrapped(list(optimizers)):
                getattr(optimizer, "state", {}).clear()

    def _is_whole(self, planned: int) -> bool:
        return self._course.towards(1.0, planned) == 0
