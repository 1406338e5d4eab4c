"""Progress of a sweep on the terminal: live where there is one, lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from secateur.study.plan import Run


class Progress:
    """An observer of a sweep; a context manager, so that the terminal is left as it was."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}", table_column=None),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} epochs"),
            TextColumn("{task.fields[news]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._runs: tuple[Run, ...] = ()
        self._ended = 0
        self._total: TaskID | None = None
        self._left = 0
        self._epochs: dict[str, int] = {}
        self._trained = 0
        self._begun = time.monotonic()

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """Show the whole study's bar."""
        self._runs = runs
        self._ended = len(finished & {run.digest for run in runs})
        self._left = sum(run.epochs for run in runs if run.digest not in finished)
        self._begun = time.monotonic()
        news = f"{self._ended} of {len(runs)} runs were finished before" if self._ended else ""
        self._total = self._bars.add_task("study", total=max(self._left, 1), news=news)
        self._say(f"{len(runs)} runs, {self._left} epochs to train. {news}".rstrip())

    def started(self, run: Run) -> None:
        """Give the run a bar."""
        self._tasks[run.digest] = self._bars.add_task(
            run.title, total=max(run.epochs, 1), news="starting"
        )

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Advance the run's bar and the study's."""
        self._trained += 1
        self._epochs[run.digest] = int(values["epoch"])
        news = f"loss {values['loss']:.3f}  val {values['val_accuracy']:.4f}"
        self._bars.update(self._tasks[run.digest], completed=values["epoch"], news=news)
        if self._total is not None:
            self._bars.update(self._total, completed=self._trained, news=self._time_left())

    def ended(self, run: Run, reason: str) -> None:
        """Take the run's bar away and leave a line in its place."""
        task = self._tasks.pop(run.digest, None)
        if task is not None:
            self._bars.remove_task(task)
        self._ended += 1
        # Whatever a failed run did not train is not left to be trained.
        self._left -= run.epochs - self._epochs.pop(run.digest, 0)
        how = f"failed: {reason}" if reason else "done"
        self._say(f"[{self._ended}/{len(self._runs)}] {run.title}: {how}  {self._time_left()}")

    def timing(self, nets: int) -> None:
        """Say what the last seconds are for."""
        self._say(f"Timing {nets} different nets side by side.")

    def _time_left(self) -> str:
        if not self._trained or self._trained >= self._left:
            return ""
        each = (time.monotonic() - self._begun) / self._trained
        minutes, seconds = divmod(round(each * (self._left - self._trained)), 60)
        return f"about {minutes}:{seconds:02d} left"

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
