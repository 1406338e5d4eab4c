"""Progress of a sweep on the terminal: a live tree, or lines where nothing can be live."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console, RenderableType
from rich.live import Live

from secateur.cli.printing import Terminal
from secateur.cli.tree import StudyTree, clock
from secateur.errors import SecateurError
from secateur.foundation.decimal_text import decimal_text
from secateur.foundation.html import plain
from secateur.point import Point
from secateur.study.plan import Run
from secateur.study.progress import SweepProgress

WITHIN = 0.01
_RARELY = 20
"""The best point is looked for only so often that it takes less than this part of the time."""


class Progress:
    """An observer of a sweep; a context manager, so that the terminal is left as it was.

    A terminal that goes away ends what it shows, and not the sweep.

    Args:
        console: Where to show it; the terminal's standard error by default.
        best: Says the best point so far in one line; empty where there is none.
    """

    def __init__(
        self, console: Console | None = None, best: Callable[[], str] = lambda: ""
    ) -> None:
        self.console = console or Terminal(stderr=True)
        self._sweep = SweepProgress()
        self._shown = StudyTree(self._sweep)
        self._best = best
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._ask_again = 0.0
        self._live: Live | None = None
        if self.console.is_interactive:
            self._live = Live(console=self.console, get_renderable=self._render, transient=True)

    def __enter__(self) -> Progress:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            with suppress(OSError):
                self._live.stop()

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """Show the study."""
        with self._lock:
            self._sweep.planned(runs, finished)
        ended = len(self._sweep.reasons)
        news = f"{ended} of {len(runs)} runs were finished before" if ended else ""
        self._say(f"{len(runs)} runs, {self._sweep.left} epochs to train. {news}".rstrip())
        self._look_for_best()

    def started(self, run: Run) -> None:
        """Show the run as under way."""
        with self._lock:
            self._sweep.started(run)

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Show how far the run is."""
        with self._lock:
            self._sweep.epoch(run, values)

    def ended(self, run: Run, reason: str) -> None:
        """Show the run as done or failed; a failure stays on the screen, as every line does."""
        with self._lock:
            self._sweep.ended(run, reason)
        if reason or not self._live:
            left = self._sweep.seconds_left()
            count = f"[{len(self._sweep.reasons)}/{len(self._sweep.runs)}]"
            how = f"failed: {reason}" if reason else "done"
            pace = "" if left is None else f"about {clock(left)} left"
            self._say(f"{count} {run.title}, {epochs_of(run)}: {how}  {pace}".rstrip())
        self._look_for_best()

    def timing(self, nets: int) -> None:
        """Say what the last seconds are for."""
        with self._lock:
            self._sweep.timing(nets)
        if not self._live:
            self._say(f"Timing {nets} different nets side by side.")
            return
        # No run ends any more: what is the best now stays the best.
        self._ask_again = 0.0
        self._look_for_best()
        self._live.refresh()

    def _render(self) -> RenderableType:
        # Drawn by a thread of the display, while the sweep counts on.
        with self._lock:
            self._shown.seconds = time.monotonic() - self._begun
            return self._shown.drawn(self.console)

    def _look_for_best(self) -> None:
        begun = time.monotonic()
        if self._live and begun >= self._ask_again:
            self._shown.best = self._best()
            now = time.monotonic()
            self._ask_again = now + _RARELY * (now - begun)

    def _say(self, text: str) -> None:
        with suppress(OSError):
            # On one line: the reason of a failure is text of others.
            self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def epochs_of(run: Run) -> str:
    """What a run trains, and behind how much: `4 epochs`, `+2 epochs (6 in all)`.

    A method may reach the same level, and the dense net its end, by several chains of runs: the
    epochs tell them apart.
    """
    spent = sum(run.spent.values())
    word = "epoch" if run.epochs == 1 else "epochs"
    if run.is_base or spent <= run.epochs:
        return f"{run.epochs} {word}"
    return f"+{run.epochs} {word} ({spent} in all)"


def best_so_far(folder: Path) -> str:
    """The sparsest level close to the dense net, of what a run folder holds; or nothing yet."""
    from secateur.study.frontier import DENSE
    from secateur.study.pick import pick
    from secateur.study.store import Store
    from secateur.study.study import CONTROLS

    try:
        points = Store(folder).points()
        near = _near(points)
        found = pick(points, within=near, controls=CONTROLS).replicate
    except (SecateurError, sqlite3.Error):
        return ""
    score = found.points[0].val
    value = float(found.mean(score.name))
    shown = f"{score.name} {decimal_text(value)}"
    if score.metric == "accuracy":
        shown = f"val {value:.4f}"
    if found.method == DENSE:
        return f"best so far: the dense net, {shown}"
    return (
        f"best so far within {decimal_text(near)} of the dense net: "
        f"{found.method} at {found.level_name}, "
        f"sparsity {float(found.mean('sparsity')):.4f}, {shown}"
    )


def _near(points: Sequence[Point]) -> float:
    """How close is close: a hundredth of a share, or of what the dense net scores."""
    dense = [abs(one.val.value) for one in points if one.method == "dense"]
    share = not points or points[0].val.unit == "share"
    return WITHIN if share or not dense else WITHIN * min(dense)
