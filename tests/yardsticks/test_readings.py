"""Our figures are read from points, seed by seed."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from secateur.point import Point
from secateur.yardsticks.published import Yardstick
from secateur.yardsticks.readings import bytes_at_no_loss, gain, loss

from ..study.frontier_points import point

LOSS = Yardstick("a", "b", "c", 0.0, "points", False, "d", "loss", "magnitude", (0.9,))
SEEDS = (0, 1, 2)


def nets(zeros: int, rights: Sequence[int], size: int, method: str = "magnitude") -> list[Point]:
    """One a seed; test data are as right as validation data."""
    found = []
    for seed, right in zip(SEEDS, rights, strict=True):
        one = point(zeros, right, method, seed=seed)
        scores = (one.val, replace(one.val, split="test"))
        found.append(replace(one, scores=scores, artifact_bytes=size))
    return found


DENSE = nets(0, (90, 91, 92), 4000, "dense")


def test_a_loss_is_the_dense_net_s_accuracy_less_the_pruned_one_s() -> None:
    found = loss(LOSS, {"": [*DENSE, *nets(90, (89, 91, 93), 400), *nets(95, (1, 2, 3), 1)]})
    assert found.values == (1, 0, -1)
    assert found.words == "error 9.00 -> 9.00"


def test_a_loss_is_held_against_the_dense_net_with_the_fewest_epochs() -> None:
    more = [replace(one, step=1) for one in nets(0, (99, 99, 99), 4000, "dense")]
    assert loss(LOSS, {"": [*DENSE, *more, *nets(90, (90, 91, 92), 4)]}).values == (0, 0, 0)


def test_bytes_are_read_at_the_highest_level_without_a_loss() -> None:
    levels = [*nets(90, (90, 91, 92), 400), *nets(95, (90, 90, 93), 100), *nets(98, (70,) * 3, 10)]
    found = bytes_at_no_loss(replace(LOSS, level=()), {"": [*DENSE, *levels]})
    assert found.values == (40, 40, 40)
    assert found.words.startswith("100 bytes at 0.95: error")
    lost = bytes_at_no_loss(LOSS, {"": [*DENSE, *nets(98, (70, 71, 72), 10)]})
    assert lost.values == (1, 1, 1)
    assert "no level" in lost.words


def test_a_gain_is_of_the_last_recipe_over_the_first() -> None:
    found = gain(LOSS, {"old": nets(90, (80, 81, 82), 1), "new": nets(90, (81, 83, 85), 1)})
    assert found.values == (1, 2, 3)
    assert found.words == "accuracy 81.00 -> 83.00, old and new"


@pytest.mark.parametrize("read", [loss, bytes_at_no_loss])
def test_a_seed_that_failed_is_left_out(read: object) -> None:
    found = read(LOSS, {"": [*DENSE[1:], *nets(90, (90, 91, 92), 400)]})  # type: ignore[operator]
    assert len(found.values) == 2
    assert all(isinstance(value, Fraction) for value in found.values)
