"""Names of points: what is typed for one, and what is listed where that means none or many."""

from __future__ import annotations

import difflib
import shlex
from collections import Counter
from collections.abc import Sequence

from secateur.errors import UsageError
from secateur.foundation.level import parse_level
from secateur.point import Point

_LISTED = 8
_SHORTEST = 4
"""Letters of a digest by themselves, beneath which a word is none."""
_TOLD = 8


def point_name(point: Point) -> str:
    """`method:level:seed`; the dense net's level is `-`."""
    return f"{point.method}:{point.level_name}:{point.seed}"


def names_of(points: Sequence[Point]) -> list[str]:
    """A name for each point that means it alone, and that `chosen_point` takes.

    Where several share method, level and seed, the start of the digest stands behind:
    `dense:-:0:1f0c9a3e`.
    """
    shared = Counter(map(point_name, points))
    length = _TOLD
    while len({one.digest[:length] for one in points}) < len({one.digest for one in points}):
        length += 1
    return [
        name if shared[name] == 1 else f"{name}:{point.digest[:length]}"
        for name, point in zip(map(point_name, points), points, strict=True)
    ]


def matching(points: Sequence[Point], wanted: str) -> list[Point]:
    """The points that a word may mean.

    Args:
        points: Of one study.
        wanted: `method`, `method:level`, `method:level:seed` or that with the start of a digest
            behind; or the start of a digest, four letters or more. A level may be written in any
            way that a study file takes: `.9`, `0.90`.
    """
    exact = [point for point in points if point_name(point) == wanted]
    named = exact or [point for point in points if _means(wanted, point)]
    if named or len(wanted) < _SHORTEST:
        return named
    return [point for point in points if point.digest.startswith(wanted)]


def _means(wanted: str, point: Point) -> bool:
    if wanted == point.method:
        return True
    if not wanted.startswith(f"{point.method}:"):
        return False
    level, *rest = wanted.removeprefix(f"{point.method}:").split(":")
    seed, digest, *more = (*rest, "", "")[: max(2, len(rest))]
    return (
        not more
        and _is_level(level, point)
        and seed in ("", str(point.seed))
        and point.digest.startswith(digest)
    )


def _is_level(text: str, point: Point) -> bool:
    if text in ("", point.level_name):
        return True
    try:
        return parse_level(text) == point.level
    except ValueError:
        return False


def chosen_point(points: Sequence[Point], wanted: str, folder: object, others: int = 0) -> Point:
    """The one point that a word means; see `matching`.

    Args:
        points: Of one study.
        wanted: What was typed.
        folder: The run folder, for the message.
        others: How many at the end of `points` are of an earlier plan: they are meant only by what
            means none of those before them.

    Raises:
        UsageError: None is meant, or several are; what fits is listed, each as it is accepted.
    """
    now = points[: len(points) - others]
    found = matching(now, wanted) or matching(points, wanted)
    if len(found) == 1:
        return found[0]
    near = found or _near(now or points, wanted)
    told = dict(zip((point.digest for point in points), names_of(points), strict=True))
    names = [shlex.quote(told[point.digest]) for point in near]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    meant = f"{len(found)} points" if found else f"none of {len(points)} points"
    raise UsageError(
        "choosing a point",
        "--point",
        given=f"{wanted!r}, which means {meant}",
        expected=f"one of {', '.join(names[:_LISTED])}{more}" if names else "a finished point",
        remedy="Each is accepted as it stands here; "
        f"`secateur frontier {folder} --json` lists all of them.",
    )


def _near(points: Sequence[Point], wanted: str) -> list[Point]:
    """Those of the method that was probably meant; all where none is like it."""
    method = wanted.partition(":")[0]
    known = list(dict.fromkeys(point.method for point in points))
    meant = [name for name in known if name == method or wanted.startswith(f"{name}:")]
    meant = meant or difflib.get_close_matches(method, known, n=1)
    return [point for point in points if point.method in meant] or list(points)
