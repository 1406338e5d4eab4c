"""The claims of the study that secateur comes from, one by one, from committed results.

Each claim is a function of a study's results: it gives what was seen and whether it holds. Numbers
are of the test split (of recipes, which are compared on it, of the validation split), with 95 %
bands over seeds where there are several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from secateur.study.aggregate import Estimate, estimate

Results = Mapping[str, Any]
FILTERS = ("l1-filter", "slimming")
SINGLE = ("magnitude", *FILTERS)
FLOOR = Fraction(6, 10)
FALL = Fraction(5, 100)
HIGH = (0.9, 0.95)
KEPT_TO = {"l1-filter": 0.8, "slimming": 0.6}
POINT = Fraction(1, 100)


class Claim(NamedTuple):
    """A claim, what was seen of it, and whether it holds."""

    says: str
    seen: str
    holds: bool | None


def accuracies(found: Results) -> dict[tuple[str, str], dict[int, Fraction]]:
    """Method and level -> seed -> accuracy, of test data where they were scored.

    Of the dense net it is the last, with the whole budget.
    """
    values: dict[tuple[str, str], dict[int, Fraction]] = {}
    for point in found["points"]:
        by_seed = values.setdefault((point["method"], point["level"]), {})
        by_seed[point["seed"]] = Fraction(*(point["test"] if "test" in point else point["val"]))
    return values


def mean(by_seed: Mapping[Any, Fraction]) -> Estimate:
    """Over the seeds, with its band."""
    return estimate(list(by_seed.values()))


def difference(first: Mapping[Any, Fraction], last: Mapping[Any, Fraction]) -> Estimate:
    """How much more the first has, seed by seed."""
    return estimate([first[seed] - last[seed] for seed in first if seed in last])


def shares(found: Results, method: str, axis: str) -> dict[str, float]:
    """Level -> the mean sparsity of the convolutions, or of all weights, that it reached."""
    values: dict[str, list[Fraction]] = {}
    for point in found["points"]:
        if point["method"] == method and point[axis][1]:
            values.setdefault(point["level"], []).append(Fraction(*point[axis]))
    return {level: float(estimate(each).mean) for level, each in values.items()}


def dense_of(found: Results) -> Estimate:
    """The dense net's accuracy."""
    return mean(accuracies(found)["dense", "-"])


def levels_of(found: Results, method: str) -> list[str]:
    """The levels of a method, in ascending order."""
    levels = {point["level"] for point in found["points"] if point["method"] == method}
    return sorted(levels, key=lambda level: float(level.split("/")[0]))


def magnitude_holds(found: Results) -> Claim:
    own, dense = accuracies(found), accuracies(found)["dense", "-"]
    parts, holds = [], True
    for level in map(str, HIGH):
        values = own.get(("magnitude", level))
        if not values:
            return Claim("magnitude holds at high sparsity", "not measured", None)
        loss = difference(dense, values)
        parts.append(f"{shown(mean(values))} at {level}")
        holds &= loss.mean - (loss.band or 0) <= POINT
    return Claim(
        "magnitude holds at high sparsity (within a point of dense, by the band)",
        f"{', '.join(parts)}; dense {shown(dense_of(found))}",
        holds,
    )


def filters_fall_first(found: Results) -> Claim:
    says = "filter methods fall first (5 points below dense; at the sparsity of all weights)"
    if not all(levels_of(found, method) for method in SINGLE):
        return Claim(says, "not measured", None)
    places = {method: falls_at(found, method) for method in SINGLE}
    words = ", ".join(f"{m} at {'no level' if at is None else at}" for m, at in places.items())
    reach = {m: float("inf") if at is None else at for m, at in places.items()}
    return Claim(says, words, all(reach[method] < reach["magnitude"] for method in FILTERS))


def falls_at(found: Results, method: str) -> float | None:
    """The sparsity of all weights at which a method is first so far below the dense net."""
    own, dense = accuracies(found), dense_of(found).mean
    reached = shares(found, method, "sparsity")
    for level in levels_of(found, method):
        if mean(own[method, level]).mean < dense - FALL:
            return round(reached[level], 3)
    return None


def kept_above_the_floor(found: Results) -> Iterator[Claim]:
    own = accuracies(found)
    for method, to in KEPT_TO.items():
        reached = shares(found, method, "conv_sparsity")
        inside = [level for level in levels_of(found, method) if reached[level] <= to + 0.01]
        worst = min(inside, key=lambda level: mean(own[method, level]).mean, default=None)
        says = f"{method}: above {float(FLOOR)} up to a conv sparsity of {to}"
        if worst is None:
            yield Claim(says, "not measured", None)
            continue
        value = mean(own[method, worst])
        yield Claim(says, f"lowest {shown(value)}, at {worst}", value.mean > FLOOR)


def combined_does_not_help(found: Results) -> Claim:
    areas = {method: areas_of(found, method) for method in (*SINGLE, "combined")}
    if not all(areas.values()):
        return Claim("the combined method does not help", "not measured", None)
    best = max(SINGLE, key=lambda method: mean(areas[method]).mean)
    more = difference(areas["combined"], areas[best])
    return Claim(
        "the combined method does not help (hypervolume against the sparsity of all weights)",
        f"combined {shown(mean(areas['combined']))}, {best} {shown(mean(areas[best]))}, "
        f"difference {shown(more, sign=True)}",
        more.mean - (more.band or 0) <= 0,
    )


def areas_of(found: Results, method: str) -> dict[str, Fraction]:
    """Seed -> hypervolume of a method."""
    areas = found["hypervolumes"]["sparsity"].get(method, {})
    by_seed = areas.items() if isinstance(areas, Mapping) else enumerate(areas)
    return {str(seed): Fraction(area) for seed, area in by_seed}


def against(first: Results, last: Results) -> Iterator[str]:
    """How much larger the second study's hypervolumes are, method by method: a Markdown table."""
    yield from ("| method | before | after | difference |", "|---|---|---|---|")
    for method in last["hypervolumes"]["sparsity"]:
        before, after = areas_of(first, method), areas_of(last, method)
        if set(before) & set(after) and any(after.values()):
            more = shown(difference(after, before), sign=True)
            yield f"| `{method}` | {shown(mean(before))} | {shown(mean(after))} | {more} |"


CLAIMS: Sequence[Callable[[Results], Claim | Iterator[Claim]]] = (
    magnitude_holds,
    filters_fall_first,
    kept_above_the_floor,
    combined_does_not_help,
)


def claims(found: Results) -> list[Claim]:
    """Every claim, judged by the results of one study."""
    judged: list[Claim] = []
    for claim in CLAIMS:
        one = claim(found)
        judged.extend([one] if isinstance(one, Claim) else one)
    return judged


def shown(found: Estimate, *, sign: bool = False) -> str:
    """`0.912 ±0.004`."""
    mean = f"{found.mean:+.3f}" if sign else f"{found.mean:.3f}"
    return mean if found.band is None else f"{mean} ±{found.band:.3f}"


def table(found: Results) -> Iterator[str]:
    """The lines of a Markdown table."""
    words = {True: "yes", False: "no", None: "-"}
    yield from ("| claim | seen here | holds |", "|---|---|---|")
    for one in claims(found):
        yield f"| {one.says} | {one.seen} | {words[one.holds]} |"
