"""At which steps of a training its net is cut."""

from typing import Any

import pytest

from secateur.errors import MaskError
from secateur.spec import MethodSpec
from secateur.study.schedules import alternating, dynamic, gradual


@pytest.mark.parametrize(
    ("options", "end", "every"),
    [
        ({}, 200, 10),
        ({"until": 0.5}, 150, 7),
        ({"until": 1.0, "cuts": 3}, 300, 100),
        ({"until": 0.0}, 0, 1),
        ({"cuts": 1000}, 200, 1),
    ],
)
def test_when_the_cuts_are_made(options: dict[str, Any], end: int, every: int) -> None:
    plan = gradual(300, MethodSpec(schedule="gradual", **options))
    assert (plan.begin, plan.end, plan.every) == (0, end, every)


@pytest.mark.parametrize(
    ("steps", "options", "end", "every", "drop"),
    [
        (10_000, {}, 7500, 100, 0.3),
        (1000, {}, 750, 37, 0.3),  # short: twenty updates all the same
        (8, {}, 6, 1, 0.3),
        (0, {}, 0, 1, 0.3),
        (1000, {"until": 0.5, "every": 10, "drop": 0.5}, 500, 10, 0.5),
        (1000, {"drop": 0.0}, 750, 37, 0.0),
    ],
)
def test_when_connections_move(
    steps: int, options: dict[str, Any], end: int, every: int, drop: float
) -> None:
    plan = dynamic(steps, MethodSpec(schedule="dynamic", **options))
    assert (plan.end, plan.every, plan.drop) == (end, every, drop)


def test_connections_that_would_never_move_are_refused() -> None:
    with pytest.raises(MaskError, match="every is 75 steps, where connections move for 75 of"):
        dynamic(100, MethodSpec(schedule="dynamic", every=75))
    assert dynamic(100, MethodSpec(schedule="dynamic", every=74)).last_cut(100) == 74


def test_when_a_net_is_whole_and_cut() -> None:
    plan = alternating(100, MethodSpec(schedule="alternating"))
    assert (plan.end, plan.phases) == (85, 8)
    plan = alternating(100, MethodSpec(schedule="alternating", until=0.5, cuts=2))
    assert (plan.end, plan.phases) == (50, 2)
