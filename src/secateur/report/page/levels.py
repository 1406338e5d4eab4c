"""Levels as the page has them: means and bands, the frontier and the picks on each axis."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from secateur.foundation.decimal_text import decimal_text
from secateur.report.engines import engines_at
from secateur.report.heights import far_below
from secateur.report.scale import scale_of
from secateur.study.aggregate import Replicate
from secateur.study.frontier import DENSE, frontier
from secateur.study.metrics import TIMES, Metric, axis, quality_of
from secateur.study.pick import Pick, breakpoints, shipped_point
from secateur.study.study import CONTROLS


def levels_of(
    levels: Sequence[Replicate],
    places: Mapping[str, int],
    axes: Mapping[str, Metric],
    scores: Collection[str],
) -> list[dict[str, Any]]:
    """What is shown of each level.

    Args:
        levels: Of the study.
        places: Where each point stands on the page, by its digest.
        axes: What the levels are compared by.
        scores: Those of the axes that can stand upright; `far` names those of them on which a
            level lies far below all the others.
    """
    dense = {id(one): place for place, one in enumerate(levels) if one.method == DENSE}
    nets = [levels[place] for place in dense.values()]
    made: list[dict[str, Any]] = [
        {
            "method": level.method,
            "level": level.level_name,
            "step": level.step,
            "points": [places[point.digest] for point in level.points],
            "competes": _competes(level),
            "collapsed": level.collapsed,
            "ships": places[shipped_point(Pick((), True, level)).digest],
            "dense": dense.get(id(dense_beside(level, nets))),
            "engines": {name: engines_at(level, batch) for name, batch in TIMES.items()},
            "mean": {},
            "band": {},
            "far": [],
        }
        for level in levels
    ]
    for name, metric in axes.items():
        there = [
            (into, level)
            for into, level in zip(made, levels, strict=True)
            if level.is_measured(metric)
        ]
        means = [level.mean(name) for _, level in there]
        far = far_below(list(map(float, means)), metric) if name in scores else [False] * len(means)
        for (into, level), mean, is_far in zip(there, means, far, strict=True):
            into["mean"][name] = digits(float(mean))
            into["far"] += [name] * is_far
            band = level.estimate(name).band
            if band is not None:
                into["band"][name] = digits(band)
    return made


def dense_beside(level: Replicate, dense: Sequence[Replicate]) -> Replicate | None:
    """The dense net that was trained as long: what a level has gained and lost is said against it.

    Args:
        level: Of the study.
        dense: The levels of the dense net.

    Returns:
        The one whose epochs, in all, are nearest to the level's, of two the longer trained; None
        in a study without the dense net.
    """
    spent = level.epochs.cumulative
    return min(
        dense,
        key=lambda one: (abs(one.epochs.cumulative - spent), -one.epochs.cumulative),
        default=None,
    )


def opening_axis(levels: Sequence[Replicate], axes: Mapping[str, Metric]) -> str:
    """The axis on which the page opens: one that people ship by, where it has been measured.

    Args:
        levels: Of the study.
        axes: What they are compared by.

    Returns:
        The bytes, else the latency, if every level but the controls has it and not all have the
        same; else the sparsity.
    """
    rivals = [level for level in levels if level.method == DENSE or level.method not in CONTROLS]
    for name in ("bytes", *TIMES):
        if name in axes and rivals and all(one.is_measured(axes[name]) for one in rivals):
            alike = len({one.mean(name) for one in rivals}) == 1
            if not alike or len(rivals) == 1:  # the first level of a study that has just begun
                return name
    return "sparsity"


def choice_of(levels: Sequence[Replicate], metric: Metric) -> dict[str, Any]:
    """Everything that is decided on an axis: the frontier, the picks by floor, the scale."""
    there = [level for level in levels if level.is_measured(metric)]
    places = {id(level): place for place, level in enumerate(levels)}
    if not there or not metric.chooses:
        return {"frontier": [], "picks": [], "log": False}
    best = frontier(there, (metric.name, quality_of(there[0].points)), CONTROLS)
    return {
        "frontier": [places[id(level)] for level in best],
        "picks": [
            [None if one.floor is None else [str(part) for part in one.floor.as_integer_ratio()],
             places[id(one.level)]]
            for one in breakpoints(there, metric.name, CONTROLS)
        ],
        "log": scale_of(metric, [float(level.mean(metric.name)) for level in there]).log,
    }  # fmt: skip


def usual_floor(levels: Sequence[Replicate]) -> str | None:
    """Two points below the dense net, as `--within 0.02` has it, rounded down to a thousandth.

    Of a score that is no share: a fiftieth worse than the dense net, to four digits.
    """
    rivals = [level for level in levels if _competes(level)]
    dense = [level for level in rivals if level.method == DENSE]
    if not rivals:
        return None
    quality = axis(quality_of(rivals[0].points), rivals[0].points)
    means = [level.mean(quality.name) for level in dense or rivals]
    best = max(means) if quality.higher else min(means)
    if quality.unit == "share":
        return f"{max(0, math.floor(1000 * best - 20)) / 1000:.3f}"
    return decimal_text(best - abs(best) / 50 if quality.higher else best + abs(best) / 50)


def _competes(level: Replicate) -> bool:
    return not level.collapsed and (level.method == DENSE or level.method not in CONTROLS)


def digits(number: float) -> float | int:
    """A number to read, in few letters: a page may hold tens of thousands."""
    return int(number) if number == int(number) else float(f"{number:.7g}")
