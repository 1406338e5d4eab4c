"""The frontier as a table for a terminal, and as plain values for `--json`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from typing import Any, Literal

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secateur.foundation.level import Sparsity
from secateur.foundation.target import Target
from secateur.point import Point, Share
from secateur.report.budget import budget_words
from secateur.study.aggregate import Replicate
from secateur.study.frontier import DENSE
from secateur.study.metrics import TIMES, Metric, axis, own_metrics, quality_of, score_metrics
from secateur.study.pick import Pick, shipped_point
from secateur.study.point_names import names_of

COLLAPSED = "x"
COLLAPSED_NOTE = (
    "x collapsed: no better than an answer that ignores its input, and so on no frontier."
)
CAPTION = (
    "* on the frontier, by {}. ± is the 95 % band of the mean over n seeds "
    "(Student t); one seed has none. left: not zero; compact: what remains once channels are "
    "taken out."
)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        head: Its heading.
        cell: Its text for one level.
        rank: How soon it makes room on a narrow terminal: 0 never, then the highest first.
        numeric: Whether to align it to the right.
    """

    head: str
    cell: Callable[[Replicate], str]
    rank: int = 0
    numeric: bool = True


def _count(replicate: Replicate, name: str) -> str:
    """A mean count to three digits: `59.3k`; below a thousand it is exact."""
    number, units = float(replicate.mean(name)), ["", "k", "M", "G", "T"]
    while number >= 999.5 and len(units) > 1:
        number /= 1000
        del units[0]
    return f"{number:.3g}{units[0]}"


def _pair(first: str, second: str) -> Callable[[Replicate], str]:
    return lambda replicate: f"{_count(replicate, first)}/{_count(replicate, second)}"


def _share(name: str) -> Callable[[Replicate], str]:
    # Four digits: at 0.98 and beyond the third is what tells two levels apart.
    return lambda replicate: f"{float(replicate.mean(name)):.4f}"


def _latency(replicate: Replicate) -> str:
    if not all(point.latency for point in replicate.points):
        return "-"
    return "/".join(f"{1e3 * float(replicate.mean(name)):.3g}" for name in TIMES)


def _engines(replicate: Replicate) -> str:
    """The fastest engine at each batch size, where the seeds agree; else how many there were."""
    if not all(point.latency for point in replicate.points):
        return "-"
    return "/".join(_engine_at(replicate, batch) for batch in TIMES.values())


def _engine_at(replicate: Replicate, batch: int) -> str:
    best = [point.latency_at(batch) for point in replicate.points]
    names = {each.engine.removeprefix("secateur-") for each in best if each is not None}
    return names.pop() if len(names) == 1 else f"{len(names)} engines"


def _epochs(replicate: Replicate) -> str:
    spent = replicate.epochs
    base, sparsity, retrain, *more = spent.parts
    shown = "+".join(map(str, (base, sparsity, retrain, *filter(None, more))))
    sums = f"{shown}={spent.cumulative}"
    return f"given, {sums}" if spent.given else sums


COLUMNS = (
    Column("method", lambda r: r.method, numeric=False),
    Column("level", lambda r: r.level_name),
    Column("sparsity", _share("sparsity")),
    Column("conv sparsity", _share("conv_sparsity"), rank=3),
    Column("parameters left/compact", _pair("nonzero", "compact_parameters"), rank=4),
    Column("MACs left/compact", _pair("nonzero_macs", "macs"), rank=5),
    Column("ms at batch 1/64", _latency, rank=6),
    Column("on engine", _engines, rank=7, numeric=False),
    Column("epochs base +sparsity +retrain", _epochs, rank=2),
)


def table(
    levels: Sequence[Replicate],
    on_frontier: Collection[Replicate],
    controls: Collection[str] = (),
    width: int | None = None,
) -> Table:
    """The levels as a table: the dense net, the methods, then the controls.

    Args:
        levels: What `replicates` returns.
        on_frontier: Those to mark.
        controls: Methods to set apart at the bottom.
        width: Columns of the terminal. The least important columns of the table are left out
            until it fits, and the caption names them. None: all are shown.

    Returns:
        A Rich table; `show` prints it.
    """
    columns = columns_of(levels)
    kept = list(columns)
    made = _table(levels, on_frontier, controls, kept)
    while width is not None and _natural_width(made) > width:
        spare = max(kept, key=lambda column: column.rank)
        if not spare.rank:
            break
        kept.remove(spare)
        made = _table(levels, on_frontier, controls, kept)
    gone = ", ".join(column.head for column in columns if column not in kept)
    made.caption = Text(caption_of(levels) + (f" Too narrow for: {gone}." if gone else ""))
    return made


def columns_of(levels: Sequence[Replicate]) -> list[Column]:
    """The columns of a study: its scores stand behind the sparsities, its own metrics last."""
    points = [point for level in levels for point in level.points]
    chooses, reported = quality_of(points), quality_of(points, "test")
    scores: list[Column] = []
    more: list[Column] = []
    for metric in score_metrics(points):
        first = metric.name in (chooses, reported)
        head = metric.label.replace("validation", "val")
        rank = 0 if metric.name == chooses else 1 if first else 8
        (scores if first else more).append(_column(metric, head, rank))
    own = [_column(metric, metric.label, 8) for metric in own_metrics(points)]
    behind = [column.head for column in COLUMNS].index("conv sparsity") + 1
    return [*COLUMNS[:behind], *scores, *COLUMNS[behind:], *more, *own]


def _column(metric: Metric, head: str, rank: int) -> Column:
    unit = "" if metric.unit == "share" else metric.unit
    return Column(f"{head} {unit}".strip(), partial(_cell, metric=metric), rank, numeric=False)


def _cell(level: Replicate, metric: Metric) -> str:
    if not level.is_measured(metric):
        return "-"
    return str(level.estimate(metric.name))


def _table(
    levels: Sequence[Replicate],
    on_frontier: Collection[Replicate],
    controls: Collection[str],
    columns: Sequence[Column],
) -> Table:
    made = Table(
        box=SIMPLE,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        caption_justify="left",
        header_style="bold",
    )
    made.add_column("")
    for column in columns:
        # Folded rather than cut with an ellipsis: on a very narrow terminal no digit is lost.
        justify: Literal["left", "right"] = "right" if column.numeric else "left"
        # As text: a metric's label of somebody else's store may look like markup.
        head = Text(column.head.replace(" ", "\n"))
        made.add_column(head, justify=justify, overflow="fold")
    ordered = sorted(levels, key=lambda level: _place(level, controls))
    for _, same_method in groupby(ordered, key=lambda level: level.method):
        for level in same_method:
            marked = level in on_frontier
            dim = level.method in controls or level.collapsed
            style = "bold" if marked else "dim" if dim else ""
            # As text: a method of somebody else's store may look like markup.
            cells = (Text(column.cell(level)) for column in columns)
            made.add_row(mark(level, marked), *cells, style=style)
        made.add_section()
    return made


def mark(level: Replicate, on_frontier: bool) -> str:
    """What stands before a level's row."""
    return COLLAPSED if level.collapsed else "*" if on_frontier else ""


def caption_of(levels: Iterable[Replicate]) -> str:
    """What the marks mean, of those that there are."""
    there = list(levels)
    points = [point for level in there for point in level.points]
    quality = axis(quality_of(points), points)
    marked = CAPTION.format(quality.label + ("" if quality.higher else " (less is better)"))
    caption = f"{marked} {budget_words(points)}"
    return f"{caption} {COLLAPSED_NOTE}" if any(level.collapsed for level in there) else caption


def _place(level: Replicate, controls: Collection[str]) -> tuple[bool, bool, str, int]:
    dense = level.method == DENSE
    return not dense, level.method in controls, level.method, level.step


def _natural_width(made: Table) -> int:
    ruler = Console(width=1000)
    return made.__rich_measure__(ruler, ruler.options).maximum


def show(
    console: Console,
    levels: Sequence[Replicate],
    on_frontier: Collection[Replicate],
    controls: Collection[str] = (),
) -> None:
    """Print the table: fitted to a terminal, whole and uncoloured into a pipe or a file.

    Args:
        console: Where to print.
        levels: What `replicates` returns.
        on_frontier: Those to mark.
        controls: Methods to set apart at the bottom.
    """
    if console.is_terminal:
        console.print(table(levels, on_frontier, controls, console.width))
        return
    made = table(levels, on_frontier, controls)
    plain = type(console)(file=console.file, width=_natural_width(made), color_system=None)
    plain.print(made)


def to_json(
    points: Sequence[Point],
    on_frontier: Collection[Replicate],
    pick: Pick | None = None,
    earlier: Sequence[Point] = (),
) -> list[dict[str, Any]]:
    """One plain object a point, every share with its integers.

    Args:
        points: The points, in the order wanted.
        on_frontier: The levels on the frontier; all the seeds of one are marked.
        pick: What was picked, if anything was asked for: every point says whether it is of the
            level that was picked, and whether it is the one of them that `export` ships.
        earlier: Points of an earlier plan, to stand behind; all say whether they are of one.

    Returns:
        JSON values only, keys in a fixed order.
    """
    marked = {(level.method, level.step) for level in on_frontier}
    picked = pick.replicate.points if pick is not None and pick.met else ()
    shipped = shipped_point(pick).digest if pick is not None and picked else ""
    both = (*points, *earlier)
    return [
        {
            **_object(point, name, (point.method, point.step) in marked and place < len(points)),
            **({} if pick is None else _picked(point, picked, shipped)),
            **({"earlier": place >= len(points)} if earlier else {}),
        }
        for place, (point, name) in enumerate(zip(both, names_of(both), strict=True))
    ]


def _object(point: Point, name: str, on_frontier: bool) -> dict[str, Any]:
    return {
        "point": name,
        "method": point.method,
        "level": _level(point),
        "seed": point.seed,
        **_scores(point),
        "sparsity": _integers(point.sparsity, "zeros"),
        "conv_sparsity": _integers(point.conv_sparsity, "zeros"),
        "model_sparsity": _integers(point.model_sparsity, "zeros"),
        "parameters": point.parameters,
        "nonzero": point.nonzero,
        "compact_parameters": point.compact_parameters,
        "masked_macs": point.masked_macs,
        "nonzero_macs": point.nonzero_macs,
        "macs": point.macs,
        "artifact_bytes": point.artifact_bytes,
        "epochs": {**asdict(point.epochs), "cumulative": point.epochs.cumulative},
        **_own_metrics(point),
        **_reached(point),
        "latency": [asdict(each) for each in point.latency],
        "seconds": point.seconds,
        "digest": point.digest,
        "on_frontier": on_frontier,
        **_chance(point),
        "floored": list(point.floored),
        "checkpoint": point.checkpoint,
    }


def _picked(point: Point, picked: Sequence[Point], shipped: str) -> dict[str, bool]:
    return {"picked": point in picked, "shipped": point.digest == shipped}


def _scores(point: Point) -> dict[str, Any]:
    """Every score by name, and the integers of the first share on each split."""
    shares = {one.split: one.share for one in (point.val, point.test)}
    return {
        **{one.name: one.value for one in point.every_score},
        **{split: _integers(share, "correct") for split, share in shares.items() if share},
    }


def _own_metrics(point: Point) -> dict[str, Any]:
    """Nothing for a study without metrics of its own."""
    return {"metrics": {one.name: one.value for one in point.metrics}} if point.metrics else {}


def _chance(point: Point) -> dict[str, Any]:
    """Nothing for a store that does not know what a guess scores: no mark is no answer."""
    if point.majority is not None:
        return {"collapsed": point.collapsed, "val_majority": point.majority}
    if point.baseline is not None:
        return {"collapsed": point.collapsed, "val_baseline": point.baseline}
    return {}


def _level(point: Point) -> object:
    """A number or a table, the list where a method's parts differ, null where nothing is cut."""
    parts = [_asked(part) for part in point.level]
    return parts if len(parts) > 1 else next(iter(parts), None)


def _asked(part: Sparsity) -> Any:
    if isinstance(part, Target):
        return str(part)
    return part if isinstance(part, float) else dict(part)


def _reached(point: Point) -> dict[str, Any]:
    """Nothing for a level that is a sparsity."""
    return {} if point.reached is None else {"reached": asdict(point.reached)}


def _integers(share: Share, part: str) -> dict[str, int]:
    return {part: share.part, "total": share.total}
