"""A cutter: cuts a net while it is trained, and holds the zeros in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import nn

from secateur.pruning.freeze import Freeze
from secateur.pruning.masks import Masks
from secateur.pruning.ranks import once


class Schedule(Protocol):
    """When a net is cut while it is trained."""

    def last_cut(self, step: int) -> int | None:
        """The step of the last cut that is planned up to a step; None before the first one."""


class Cutter:
    """Cuts as a schedule says, whoever counts the steps. What `cut` does is a subclass's.

    Where several processes train the network together, the first one cuts, and the others take its
    masks: `start` and `step` are called on each.

    Args:
        masks: Held from the start; None for none.
        schedule: When to cut; None for never.

    Attributes:
        masks: Those of the last cut.
        schedule: As given.
    """

    def __init__(self, masks: Masks | None = None, schedule: Schedule | None = None) -> None:
        self.masks = masks
        self.schedule = schedule
        self._frozen: Freeze | None = None
        self._last: int | None = None

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The masks of a cut, applied; called on the first rank alone, where there are several.

        Args:
            model: The net.
            planned: The step that the cut was planned for.
        """
        raise NotImplementedError

    def start(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """Training begins, or goes on, at a step: hold the zeros, and cut if it is time."""
        self.resume(model, optimizers)
        self.step(model, optimizers, step)

    def resume(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        """Hold the zeros of the masks there are; the next step may cut."""
        self._last = None
        if self.masks is not None:
            self.masks.apply(model)
        self._hold(model, optimizers)

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """So many steps of the optimizer are done: cut further where the schedule says so."""
        planned = None if self.schedule is None else self.schedule.last_cut(step)
        if planned is None or planned == self._last:
            return
        self.masks = once(lambda: self.cut(model, planned), model)
        self._last = planned
        self._hold(model, optimizers)

    def _hold(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        self.stop()
        if self.masks is not None:
            self._frozen = self.masks.freeze(list(optimizers), model)

    def stop(self) -> None:
        """Let the weights go; the zeros stay what they are."""
        if self._frozen is not None:
            self._frozen.remove()
        self._frozen = None
