"""Claims: which runs a sweep may begin, and whose result counts.

A sweep that has its folder to itself may begin them all. Several that share one folder go by
`shared_claims.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from secateur.study.plan import Run
    from secateur.study.store import Status, Store


@dataclass(frozen=True)
class Ending:
    """How a run ended that another sweep performed.

    Attributes:
        digest: The run's.
        status: `done` or `failed`.
        reason: Of a failure.
        sha256: Of its file; empty where none was noted.
    """

    digest: str
    status: str
    reason: str
    sha256: str


@dataclass(frozen=True)
class News:
    """What other sweeps of the same folder did.

    Attributes:
        held: Digests of the runs that others have claimed now.
        endings: Of the runs that have ended since the last news.
    """

    held: Collection[str] = ()
    endings: Sequence[Ending] = ()


class Claims(Protocol):
    """A context manager around a sweep's runs; what it has claimed is free again at its end."""

    def __enter__(self) -> Self:
        """Get ready."""

    def __exit__(self, *error: object) -> None:
        """Give back what is claimed."""

    def join(self, plan: Sequence[str], begin: Callable[[bool], None]) -> None:
        """Write what a sweep writes before its runs.

        Args:
            plan: The digests of all runs, in their order.
            begin: Writes it; told whether others work on the same plan already.

        Raises:
            StoreError: Others work on another plan.
        """

    def claim(self, runs: Sequence[Run]) -> bool:
        """Claim a chain of runs; False if another has one of them, or has ended one unheard."""

    def draft(self, run: Run) -> str:
        """The name, in the run folder, of the file that a claimed run writes; empty: its own."""

    def begin(self, run: Run) -> int:
        """Note that an attempt at a claimed run begins; returns its number."""

    def end(
        self,
        attempt: int,
        run: Run,
        status: Status,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Note a claimed run's end and its result; False if the claim has been lost meanwhile."""

    def skip(self, run: Run, reason: str) -> None:
        """Note that a run will not be done, unless another sweep has noted it."""

    def news(self, now: bool = False) -> News:
        """What others did since the last time; looked up now and then, or `now`."""

    def pause(self) -> None:
        """Let a moment pass, in which others may get on."""

    def alone(self, task: str) -> AbstractContextManager[None]:
        """Do something that only one sweep does at a time, after waiting for the others."""


class SoleClaims:
    """The claims of a sweep that has its folder to itself.

    Args:
        store: Open for writing.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing was claimed."""

    def join(self, plan: Sequence[str], begin: Callable[[bool], None]) -> None:
        """Begin."""
        del plan
        begin(False)

    def claim(self, runs: Sequence[Run]) -> bool:
        """Always."""
        del runs
        return True

    def draft(self, run: Run) -> str:
        """None: nobody else writes it."""
        del run
        return ""

    def begin(self, run: Run) -> int:
        """Write the attempt."""
        return self._store.record_start(run)

    def end(
        self,
        attempt: int,
        run: Run,
        status: Status,
        reason: str = "",
        result: Mapping[str, Any] | None = None,
    ) -> bool:
        """Write the end; it always counts."""
        self._store.record_end(attempt, run, status, reason, result)
        return True

    def skip(self, run: Run, reason: str) -> None:
        """Write it as an attempt that failed."""
        self._store.record_end(self._store.record_start(run), run, "failed", reason)

    def news(self, now: bool = False) -> News:
        """None."""
        del now
        return News()

    def pause(self) -> None:
        """Nobody to wait for."""

    @contextmanager
    def alone(self, task: str) -> Iterator[None]:
        """It is."""
        del task
        yield
