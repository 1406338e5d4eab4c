"""Whole and cut by turns, in the proportions of the paper."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.errors import MaskError
from secateur.pruning.alternating import Alternating


def test_the_phases_are_those_of_the_papers_training_on_imagenet() -> None:
    """100 epochs: cut at 10, 20, ..., 70 and 85, whole at 15, 25, ..., 65 and 75."""
    plan = Alternating(end=85, phases=8)
    begun = [epoch for epoch in range(100) if plan.last_cut(epoch) == epoch]
    assert begun == [*range(10, 76, 5), 85]
    cut = [epoch for epoch in begun if plan.is_cut(epoch)]
    assert cut == [10, 20, 30, 40, 50, 60, 70, 85]
    assert [plan.towards(0.9, epoch) for epoch in (9, 10, 14, 15, 84, 99)] == [
        0.0, 0.9, 0.9, 0.0, 0.0, 0.9,
    ]  # fmt: skip


def test_one_phase_is_one_cut() -> None:
    plan = Alternating(end=6, phases=1)
    assert [plan.last_cut(step) for step in (5, 6, 7)] == [None, 6, 6]
    assert [plan.is_cut(step) for step in (5, 6)] == [False, True]


@given(end=st.integers(0, 60), phases=st.integers(1, 12))
def test_it_ends_cut_however_short_the_phases_are(end: int, phases: int) -> None:
    plan = Alternating(end=end, phases=phases)
    assert plan.is_cut(end)
    assert plan.last_cut(end + 5) == end
    begun = [plan.last_cut(step) for step in range(end + 1)]
    known = [step for step in begun if step is not None]
    assert known == sorted(known)
    for step, last in enumerate(begun):
        assert last is None or (last <= step and plan.is_cut(last) == plan.is_cut(step))


@pytest.mark.parametrize(("name", "value"), [("end", -1), ("phases", 0)])
def test_numbers_that_mean_no_schedule_are_refused(name: str, value: int) -> None:
    with pytest.raises(MaskError, match=f"{name} is {value}"):
        Alternating(**{"end": 10, name: value})
