"""The tree of a study on a terminal: base nets, their methods, the levels of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.text import Text
from rich.tree import Tree

from secateur.foundation.decimal_text import decimal_text
from secateur.foundation.level_text import level_text
from secateur.study.plan import Run
from secateur.study.progress import SweepProgress, Underway

_BAR = 16


@dataclass(frozen=True)
class Marks:
    """How the states of a run look: in colour, and without it by their shape."""

    done: str = "✓"
    failed: str = "✗"
    underway: str = "▸"
    waiting: str = "·"
    full: str = "━"
    empty: str = "─"


ASCII = Marks("+", "x", ">", ".", "#", "-")


def tree(progress: SweepProgress, marks: Marks, height: int) -> list[Tree | Text]:
    """The runs of a sweep, with as much detail as fits.

    Args:
        progress: Where the sweep is.
        marks: How states look.
        height: Lines that there are.

    Returns:
        A tree for each seed. Where that is too high, a line for each seed in which nothing is
        under way; where that is, too, only what is under way.
    """
    seeds: dict[int, list[Run]] = {}
    for run in progress.runs:
        seeds.setdefault(run.seed, []).append(run)
    going = {entry.run.seed for entry in progress.underway.values()}
    lines = {seed: _height(runs, progress) for seed, runs in seeds.items()}
    if sum(lines.values()) <= height:
        return [_seed(runs, progress, marks) for runs in seeds.values()]
    if sum(lines[seed] if seed in going else 1 for seed in seeds) <= height:
        return [
            _seed(runs, progress, marks) if seed in going else _summary(seed, runs, progress, marks)
            for seed, runs in seeds.items()
        ]
    entries = list(progress.underway.values())
    return [_detail(entry, marks, entry.run.title) for entry in entries[: max(height, 0)]]


def _height(runs: Sequence[Run], progress: SweepProgress) -> int:
    methods = {run.method for run in runs if not run.is_base}
    return 1 + len(methods) + sum(1 for run in runs if run.digest in progress.underway)


def _seed(runs: Sequence[Run], progress: SweepProgress, marks: Marks) -> Tree:
    base = next(run for run in runs if run.is_base)
    top = Tree(_line(("", base, base.title), progress=progress, marks=marks), guide_style="dim")
    if base.digest in progress.underway:
        top.add(_detail(progress.underway[base.digest], marks, "training"))
    methods = list(dict.fromkeys(run.method for run in runs if not run.is_base))
    width = max((len(name) for name in methods), default=0)
    for name in methods:
        own = [run for run in runs if run.method == name and not run.is_base]
        label = Text(name.ljust(width), no_wrap=True, overflow="ellipsis")
        for run in own:
            label.append_text(_line((" ", run, _level(run)), progress=progress, marks=marks))
        branch = top.add(label)
        for run in own:
            if run.digest in progress.underway:
                branch.add(_detail(progress.underway[run.digest], marks, _level(run)))
    return top


def _line(part: tuple[str, Run, str], *, progress: SweepProgress, marks: Marks) -> Text:
    """A run's mark and name, in the colour of its state."""
    before, run, name = part
    mark, style = _state(run, progress, marks)
    text = Text(f"{before}{mark} ", style=style, no_wrap=True, overflow="ellipsis")
    return text.append(name, style=style)


def _state(run: Run, progress: SweepProgress, marks: Marks) -> tuple[str, str]:
    if run.digest in progress.underway:
        return marks.underway, "bold"
    reason = progress.reasons.get(run.digest)
    if reason is None:
        return marks.waiting, "dim"
    return (marks.failed, "red") if reason else (marks.done, "green")


def _level(run: Run) -> str:
    """What tells the runs of a method apart."""
    if run.preparing:
        return run.preparing
    # The dense net is trained on as long as the others are: its levels are epochs.
    return level_text(run.level) or f"+{run.spent['retrain']} epochs"


def _detail(entry: Underway, marks: Marks, name: str) -> Text:
    total = max(entry.run.epochs, 1)
    filled = _BAR * min(entry.epoch, total) // total
    text = Text(f"{name}  ", no_wrap=True, overflow="ellipsis")
    text.append(marks.full * filled, style="cyan").append(marks.empty * (_BAR - filled), "dim")
    text.append(f"  {entry.epoch}/{entry.run.epochs} epochs")
    if entry.values:
        text.append("".join(f"  {_number(*item)}" for item in entry.values.items()))
    return text


def _number(name: str, value: float) -> str:
    if name == "loss":
        return f"loss {value:.3f}"
    return f"val {value:.4f}" if name == "val_accuracy" else f"{name} {_plain(value)}"


def _plain(value: float) -> str:
    return decimal_text(value) if math.isfinite(value) else str(value)


def _summary(seed: int, runs: Sequence[Run], progress: SweepProgress, marks: Marks) -> Text:
    ended = [run for run in runs if run.digest in progress.reasons]
    failed = sum(1 for run in ended if progress.reasons[run.digest])
    mark = marks.failed if failed else marks.done if len(ended) == len(runs) else marks.waiting
    more = f", {failed} failed" if failed else ""
    return Text(f"{mark} seed {seed}  {len(ended)} of {len(runs)} runs{more}", no_wrap=True)


@dataclass
class StudyTree:
    """What a live display shows: a few lines about the whole, then the tree.

    Attributes:
        progress: Where the sweep is.
        best: The best point so far, in words.
        seconds: Since the sweep began.
    """

    progress: SweepProgress
    best: str = ""
    seconds: float = 0.0

    def drawn(self, console: Console) -> Group:
        """The lines as they stand now, as many as the terminal is high."""
        marks = ASCII if console.options.ascii_only or console.legacy_windows else Marks()
        head = list(self._head(marks))
        # One line is left for the cursor.
        return Group(*head, *tree(self.progress, marks, console.height - len(head) - 1))

    def _head(self, marks: Marks) -> Iterator[Text]:
        progress = self.progress
        share = progress.trained / max(progress.left, 1)
        filled = min(int(_BAR * share), _BAR)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(marks.full * filled, style="cyan")
        line.append(marks.empty * (_BAR - filled), style="dim")
        line.append(f"  {len(progress.reasons)}/{len(progress.runs)} runs", style="bold")
        for words in (_time_left(progress), f"{clock(self.seconds)} so far"):
            line.append(f"  {words}" if words else "")
        yield line
        if progress.nets:
            yield Text(f"Timing {progress.nets} different nets side by side.", no_wrap=True)
        if self.best:
            yield Text(self.best, no_wrap=True, overflow="ellipsis")


def _time_left(progress: SweepProgress) -> str:
    left = progress.seconds_left()
    return "" if left is None else f"about {clock(left)} left"


def clock(seconds: float) -> str:
    """Seconds as they are read on a clock: `3:05`, `1:00:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
