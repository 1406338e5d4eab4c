"""The ranking: which method stands where, over all levels and seeds of a study.

Within each seed and at each level the methods are put in the order of the score that chooses,
validation data only; equal ones share the mean of their places. A method's rank is the mean over
levels, and its band is that over seeds. Only like is ranked with like: methods that cut single
weights among themselves, and methods that cut filters and channels among themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from secateur.foundation.level import order
from secateur.point import Point
from secateur.registry import METHODS
from secateur.study.aggregate import Estimate, estimate
from secateur.study.frontier import DENSE
from secateur.study.metrics import axis, quality_of

GROUPS: Mapping[str, str] = {
    "weights": "Methods of single weights",
    "channels": "Methods of filters and channels",
    "both": "Methods that cut both",
}
"""What is ranked together, and what is said above each."""


@dataclass(frozen=True)
class Rank:
    """Where one method stands.

    Attributes:
        method: Its name.
        rank: Its mean rank, 1 for the best, with the band over seeds.
        control: Whether it is there to be compared with.
    """

    method: str
    rank: Estimate
    control: bool


@dataclass(frozen=True)
class Ranking:
    """Methods of one kind, the best first.

    Attributes:
        group: One of `GROUPS`.
        levels: The levels that they are compared at, by name.
        seeds: How many seeds.
        ranks: One a method.
        left_out: Methods that lack one of these levels, or a seed.
    """

    group: str
    levels: tuple[str, ...]
    seeds: int
    ranks: tuple[Rank, ...]
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "group": self.group,
            "title": GROUPS[self.group],
            "levels": list(self.levels),
            "seeds": self.seeds,
            "ranks": [
                {
                    "method": one.method,
                    "rank": one.rank.mean,
                    "band": one.rank.band,
                    "control": one.control,
                }
                for one in self.ranks
            ],
            "left_out": list(self.left_out),
        }


def rankings(points: Iterable[Point], controls: Collection[str] = ()) -> tuple[Ranking, ...]:
    """Rank the methods of a study, like with like.

    They are compared at the levels that more than half of a group's methods have; who lacks one of
    these levels, or a seed there, has no place and is named. The dense net has none: it is cut at
    no level. A method that is not registered here is not known to be of a kind, and has none.

    Args:
        points: The points of one study, in any order.
        controls: Methods that are there to be compared with; they are ranked, and marked.

    Returns:
        One ranking for each group of two methods or more.

    Raises:
        UnknownNameError: The points have no score that chooses.
    """
    groups: dict[str, list[Point]] = {}
    for point in points:
        if point.method != DENSE and (group := group_of(point.method)):
            groups.setdefault(group, []).append(point)
    found = (_ranking(name, groups[name], controls) for name in GROUPS if name in groups)
    return tuple(one for one in found if len(one.ranks) > 1)


def group_of(method: str) -> str:
    """What a method is ranked among; empty where that is not known, or where it cuts nothing.

    Example:
        >>> group_of("magnitude"), group_of("l1-filter"), group_of("combined"), group_of("dense")
        ('weights', 'channels', 'both', '')
    """
    parts = METHODS[method].parts if method in METHODS else ()
    kinds = {part.cuts_channels for part in parts}
    if len(kinds) == 2:
        return "both"
    return "channels" if True in kinds else "weights" if kinds else ""


def places(values: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """The place of each, 1 for the highest value; equal ones share the mean of theirs.

    Example:
        >>> found = places({"a": Fraction(1, 2), "b": Fraction(3, 4), "c": Fraction(1, 2)})
        >>> {name: str(place) for name, place in found.items()}
        {'a': '5/2', 'b': '1', 'c': '5/2'}
    """
    counts = Counter(values.values())
    first: dict[Fraction, int] = {}
    place = 1
    for value in sorted(counts, reverse=True):
        first[value] = place
        place += counts[value]
    return {name: first[value] + Fraction(counts[value] - 1, 2) for name, value in values.items()}


def _ranking(group: str, points: Sequence[Point], controls: Collection[str]) -> Ranking:
    metric = axis(quality_of(points), points)
    sign = 1 if metric.higher else -1
    merits = {
        (point.method, point.level_name, point.seed): sign * Fraction(metric.value(point))
        for point in points
    }
    methods = list(dict.fromkeys(point.method for point in points))
    levels, seeds = _common(points), sorted({point.seed for point in points})
    whole = [
        name
        for name in methods
        if all((name, level, seed) in merits for level in levels for seed in seeds)
    ]
    by_seed: dict[str, list[Fraction]] = {name: [] for name in whole}
    for seed in seeds if levels else ():
        at = [places({name: merits[name, level, seed] for name in whole}) for level in levels]
        for name in whole:
            by_seed[name].append(sum((one[name] for one in at), Fraction()) / len(at))
    ranks = [
        Rank(name, estimate(values), name in controls) for name, values in by_seed.items() if values
    ]
    return Ranking(
        group,
        tuple(levels),
        len(seeds),
        tuple(sorted(ranks, key=lambda one: (one.rank.mean, one.method))),
        tuple(name for name in methods if name not in whole),
    )


def _common(points: Sequence[Point]) -> list[str]:
    """The levels that more than half of the methods have, from the lowest on."""
    pairs = {(point.method, point.level_name): point.level for point in points}
    count = len({method for method, _ in pairs})
    met = Counter(level for _, level in pairs)
    levels = {name: level for (_, name), level in pairs.items()}
    return sorted(
        (name for name in met if 2 * met[name] > count), key=lambda name: order(levels[name])
    )
