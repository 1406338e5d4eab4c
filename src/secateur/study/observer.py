"""Observers: whoever a sweep tells what happens, while it happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from secateur.study.plan import Run


class Observer(Protocol):
    """What a sweep tells while it runs. Every method may do nothing."""

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """All runs, and the digests of those that an earlier sweep finished."""

    def started(self, run: Run) -> None:
        """A run begins."""

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """A run has trained another epoch: `epoch`, `loss`, and a score such as `val_accuracy`."""

    def ended(self, run: Run, reason: str) -> None:
        """A run is done, or has failed for a reason."""

    def timing(self, nets: int) -> None:
        """All runs have ended, and so many different nets are going to be timed."""


class Silent:
    """An observer that says nothing."""

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """Nothing."""

    def started(self, run: Run) -> None:
        """Nothing."""

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Nothing."""

    def ended(self, run: Run, reason: str) -> None:
        """Nothing."""

    def timing(self, nets: int) -> None:
        """Nothing."""


class Several:
    """Observers that are told one after the other.

    Args:
        observers: In the order in which they are told.

    Example:
        >>> class Loud(Silent):
        ...     def timing(self, nets):
        ...         print("timing", nets)
        >>> Several(Loud(), Silent(), Loud()).timing(3)
        timing 3
        timing 3
    """

    def __init__(self, *observers: Observer) -> None:
        self.observers = observers

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.planned(runs, finished)

    def started(self, run: Run) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.started(run)

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.epoch(run, values)

    def ended(self, run: Run, reason: str) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.ended(run, reason)

    def timing(self, nets: int) -> None:
        """Tell all of them."""
        for observer in self.observers:
            observer.timing(nets)
