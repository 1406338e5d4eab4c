"""Level cutters: they bring a net to a level of its method while it is retrained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from secateur.foundation.level import Share
from secateur.pruning.criterion import Statistics
from secateur.pruning.cutter import Cutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.groups import Groups
from secateur.pruning.growing import Growing
from secateur.pruning.layers import ALL_LAYERS, Layers
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.select import cut
from secateur.spec import MethodSpec

UNTIL = 2 / 3
"""Share of the retraining by which the level is reached, where the study does not say."""
CUTS = 20
"""Into how many steps the way is divided, likewise."""
CEILING = 1.0
"""How high a penalty grows, likewise."""


class LevelCutter(Cutter):
    """Cuts by the cubic schedule of Zhu and Gupta (2017, arXiv 1710.01878, equation 1).

    Each share of the level, be it of a part or of a pattern of layers, rises from 0 by itself, so
    the last cut is at the level exactly. Weights are scored as they are at each cut; channels are
    traced and statistics are taken once, of the net as it was.

    Args:
        parts: The method's cuts.
        level: The sparsities at the end.
        steps: Of the retraining.
        options: The method's, with `until` and `cuts`.
        groups_of: Gives a part's channels.
        statistics: What the criteria read beside the weights.
        previous: What is cut before the first step.
        layers: The study's choice of layers.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        level: Sequence[Share],
        steps: int,
        options: MethodSpec,
        *,
        groups_of: Callable[[Part], Groups],
        statistics: Statistics,
        previous: Masks | None = None,
        layers: Layers = ALL_LAYERS,
    ) -> None:
        self._plan = gradual(steps, options)
        super().__init__(previous, self._plan)
        self._parts = parts
        self._level = level
        self._statistics = statistics
        self._layers = layers
        self._known: dict[tuple[str, str], Groups] = {
            (part.granularity, part.scope): groups_of(part) for part in parts if part.cuts_channels
        }

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The masks of a planned step, applied."""
        return cut(
            model,
            self._parts,
            [self._at(share, planned) for share in self._level],
            groups_of=lambda part: self._known[part.granularity, part.scope],
            statistics=self._statistics,
            previous=self.masks,
            layers=self._layers,
        ).apply(model)

    def _at(self, share: Share, planned: int) -> Share:
        if isinstance(share, tuple):
            return tuple((pattern, self._rising(one, planned)) for pattern, one in share)
        return self._rising(share, planned)

    def _rising(self, share: float, planned: int) -> float:
        return replace(self._plan, final=share).sparsity(planned)


def gradual(steps: int, options: MethodSpec) -> Gradual:
    """When the cuts of a retraining of so many steps are made; the sparsities are a cut's own.

    Example:
        >>> plan = gradual(300, MethodSpec(schedule="gradual", until=0.5, cuts=3))
        >>> plan.end, plan.every
        (150, 50)
    """
    end = _last_cut(steps, options)
    return Gradual(0.0, end=end, every=max(1, end // (options.cuts or CUTS)))


def growing(chosen: Masks, steps: int, options: MethodSpec, previous: Masks | None) -> Growing:
    """What makes the one cut of a retraining of so many steps, and the penalty before it.

    Args:
        chosen: The cut.
        steps: Of the retraining.
        options: The method's, with `until` and `ceiling`.
        previous: What is cut before the first step.
    """
    ceiling = CEILING if options.ceiling is None else options.ceiling
    return Growing(chosen, _last_cut(steps, options), ceiling, previous)


def _last_cut(steps: int, options: MethodSpec) -> int:
    return int((UNTIL if options.until is None else options.until) * steps)
