"""Quantising: which levels are worth a second measure."""

from collections.abc import Callable

from secateur.point import Point
from secateur.study.plan import Run
from secateur.study.quantising import levels_to_quantise


def test_the_frontier_and_the_dense_nets_are_quantised(
    make_point: Callable[..., tuple[Run, Point]],
) -> None:
    points = [
        make_point("dense", (), 50)[1],
        *(make_point("magnitude", (level,), 48, step)[1] for step, level in enumerate((0.5, 0.9))),
        make_point("l1-filter", (0.5,), 48)[1],
    ]
    found = levels_to_quantise(points, [("magnitude", 1)])
    assert [(one.method, one.step) for one in found] == [("dense", 0), ("magnitude", 1)]
