"""Connections that move: when, how many, and which."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.dynamic import Dynamic, rewired


def test_updates_come_at_multiples_and_end_before_the_end() -> None:
    plan = Dynamic(end=30, every=10)
    found = [plan.last_cut(step) for step in (0, 9, 10, 19, 20, 29, 30, 99)]
    assert found == [None, None, 10, 10, 20, 20, 20, 20]
    assert Dynamic(end=5, every=10).last_cut(99) is None
    assert Dynamic(end=0).last_cut(0) is None


def test_the_share_falls_along_a_cosine() -> None:
    """By hand: 0.4 / 2 (1 + cos(pi t / 60)) of 100 at a sixth, a third, a half, two thirds."""
    plan = Dynamic(end=60, every=10, drop=0.4)
    assert [plan.moved(step, 100) for step in (10, 20, 30, 40, 60)] == [37, 30, 20, 10, 0]
    assert plan.moved(20, 0) == 0


@given(
    step=st.integers(0, 2000), end=st.integers(1, 1000), drop=st.floats(0, 0.99),
    kept=st.integers(1, 10**6),
)  # fmt: skip
def test_some_connection_is_always_left(step: int, end: int, drop: float, kept: int) -> None:
    moved = Dynamic(end=end, drop=drop).moved(step, kept)
    assert 0 <= moved < kept
    assert moved == pytest.approx(
        drop / 2 * (1 + math.cos(math.pi * min(step, end) / end)) * kept, abs=1.001
    )


@pytest.mark.parametrize(
    ("name", "changes"), [("end", {"end": -1}), ("every", {"every": 0}), ("drop", {"drop": 1.0})]
)
def test_numbers_that_mean_no_schedule_are_refused(name: str, changes: dict[str, int]) -> None:
    with pytest.raises(MaskError, match=f"{name} is"):
        Dynamic(**{"end": 10, **changes})


def test_the_smallest_go_and_those_of_the_steepest_slope_come() -> None:
    """Four of eight are kept; two are dropped, 0.1 and -0.2, and two grown, by 7 and 5."""
    weight = torch.tensor([[0.9, 0.0, 0.1, 0.0], [-0.2, 0.0, -0.5, 0.0]])
    slope = torch.tensor([[9.0, 3.0, 1.0, 7.0], [5.0, 0.0, 8.0, 2.0]])
    found = rewired(weight, weight != 0, slope, 2)
    # -0.2 has just been dropped and grows again; 0.9 and -0.5 stay, whatever their slope.
    assert found.tolist() == [[True, False, False, True], [True, False, True, False]]


def test_of_equal_ones_the_first_goes_and_the_last_comes() -> None:
    weight = torch.tensor([1.0, -1.0, 1.0, 0.0, 0.0, 0.0])
    found = rewired(weight, weight != 0, torch.zeros(6), 1)
    assert found.tolist() == [False, True, True, False, False, True]


def test_what_is_barred_does_not_grow() -> None:
    weight = torch.tensor([2.0, 1.0, 0.0, 0.0])
    barred = torch.tensor([False, False, True, False])
    found = rewired(weight, weight != 0, torch.tensor([0.0, 1.0, 9.0, 2.0]), 1, barred)
    assert found.tolist() == [True, False, False, True]


def reference(weight: Tensor, kept: Tensor, slope: Tensor, count: int) -> set[int]:
    """Algorithm 1 of Evci et al., place by place."""
    places = [place for place in range(kept.numel()) if kept[place]]
    left = sorted(places, key=lambda place: (abs(float(weight[place])), place))[count:]
    free = [place for place in range(kept.numel()) if place not in left]
    return {
        *left,
        *sorted(free, key=lambda place: (float(slope[place]), place))[len(free) - count :],
    }


@given(st.data())
def test_counts_are_exact_and_the_choice_is_the_papers(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    numbers = st.lists(st.integers(-3, 3), min_size=size, max_size=size)  # many are equal
    weight, slope = (torch.tensor(data.draw(numbers)).float() for _ in range(2))
    kept = torch.zeros(size, dtype=torch.bool)
    kept[data.draw(st.permutations(range(size)))[: data.draw(st.integers(1, size))]] = True
    count = data.draw(st.integers(0, int(kept.sum()) - 1))
    found = rewired(weight, kept, slope.abs(), count)
    assert int(found.sum()) == int(kept.sum())
    assert set(found.nonzero().flatten().tolist()) == reference(weight, kept, slope.abs(), count)
