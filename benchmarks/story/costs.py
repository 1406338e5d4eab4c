"""Hypervolumes against what is paid for: bytes on disk and milliseconds, from committed results.

What a net saves is one less its share of the dense net's cost, so that accuracy against it has an
area from nought to one, as accuracy against sparsity has. Nets that cost more save nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from original import difference, shown
from tables import markdown

from secateur.study.aggregate import estimate
from secateur.study.frontier import dominated_area

Results = Mapping[str, Any]
Read = Callable[[Results], Fraction | None]
Areas = dict[str, dict[int, Fraction]]
DENSE, COMBINED = "dense", "combined"
SINGLE = ("magnitude", "l1-filter", "slimming")
NOTHING = (Fraction(0), Fraction(0))


def costs(found: Results) -> dict[str, Read]:
    """What every point of some results tells of its cost, by name."""
    points = found["points"]
    batches = sorted({timing[1] for point in points for timing in point.get("latency", ())})
    every: dict[str, Read] = {"bytes": lambda point: point.get("bytes")}
    for batch in batches:
        every[f"latency at batch {batch}"] = lambda point, batch=batch: fastest(point, batch)
    return {
        name: read for name, read in every.items() if points and all(read(one) for one in points)
    }


def fastest(point: Results, batch: int) -> Fraction | None:
    """The median of the fastest engine, in seconds."""
    medians = [timing[2] for timing in point.get("latency", ()) if timing[1] == batch]
    return Fraction(min(medians)) if medians else None


def areas(found: Results, read: Read) -> Areas:
    """Method -> seed -> the area under its accuracies, against what it saves of a cost."""
    dense = {point["seed"]: Fraction(read(point)) for point in longest(found)}
    pairs: dict[str, dict[int, list[tuple[Fraction, ...]]]] = {}
    for point in found["points"]:
        seed = point["seed"]
        if point["method"] == DENSE or seed not in dense:
            continue
        own = pairs.setdefault(point["method"], {}).setdefault(seed, [])
        if not point["collapsed"]:
            own.append((1 - Fraction(read(point)) / dense[seed], Fraction(*point["val"])))
    return {
        method: {seed: dominated_area(own, NOTHING) for seed, own in by_seed.items()}
        for method, by_seed in pairs.items()
    }


def longest(found: Results) -> list[Results]:
    """Of each seed the dense net that was trained for longest."""
    best: dict[int, Results] = {}
    for point in found["points"]:
        if point["method"] == DENSE:
            before = best.get(point["seed"], point)
            best[point["seed"]] = max(before, point, key=lambda one: sum(one.get("epochs", ())))
    return list(best.values())


def table(found: Results) -> Iterator[str]:
    """The hypervolumes of every method against every cost that was measured of all its points."""
    by_cost = {name: areas(found, read) for name, read in costs(found).items()}
    by_cost = {name: own for name, own in by_cost.items() if own}
    if not by_cost:
        return
    methods = list(dict.fromkeys(method for own in by_cost.values() for method in own))
    rows = [
        [f"`{method}`", *(_mean(own.get(method, {}).values()) for own in by_cost.values())]
        for method in methods
    ]
    yield from markdown(["method", *(f"saved {name}" for name in by_cost)], rows)
    lines = [line for name, own in by_cost.items() if (line := combined(name, own))]
    yield from (*lines, *([""] if lines else []))


def combined(name: str, own: Areas) -> str:
    """How the combined method does beside the best single one; nothing where one is missing."""
    if not all(own.get(method) for method in (*SINGLE, COMBINED)):
        return ""
    best = max(SINGLE, key=lambda method: estimate(list(own[method].values())).mean)
    more = difference(own[COMBINED], own[best])
    verdict = "at or above" if more.mean + (more.band or 0) >= 0 else "below"
    return f"- {name}: `combined` is {verdict} `{best}` by the band ({shown(more, sign=True)})."


def _mean(values: Sequence[Fraction]) -> str:
    held = list(values)
    return shown(estimate(held)) if held else "-"
