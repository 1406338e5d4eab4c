"""Two parts of the values: what the first picture is drawn from, and all the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LATER = ("csv", "trainings", "nets", "environments")
_OF_A_POINT = (
    "id", "digest", "name", "method", "level", "step", "seed", "scores", "epochs", "collapsed",
)  # fmt: skip
"""What the first picture needs of each point."""


def parts(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the values of a page, so that a browser draws the chart before it has read everything.

    Args:
        values: Of a study, or `{"studies": [...]}` with those of each.

    Returns:
        What is drawn first, and the rest: its `points` are completed one by one, everything else
        of it stands beside what there is already.

    Example:
        >>> parts({"csv": "a,b", "floor": "0.9"})
        ({'floor': '0.9'}, {'csv': 'a,b'})
    """
    if "studies" in values:
        several = [parts(one) for one in values["studies"]]
        return {"studies": [one for one, _ in several]}, {"studies": [one for _, one in several]}
    first = {name: value for name, value in values.items() if name not in _LATER}
    rest = {name: values[name] for name in _LATER if name in values}
    if "points" in values:
        first["points"] = [_some(point, first=True) for point in values["points"]]
        rest["points"] = [_some(point, first=False) for point in values["points"]]
    return first, rest


def _some(point: Mapping[str, Any], *, first: bool) -> dict[str, Any]:
    return {name: value for name, value in point.items() if (name in _OF_A_POINT) is first}
