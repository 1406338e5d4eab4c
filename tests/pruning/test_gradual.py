import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.errors import MaskError
from secateur.pruning.gradual import Gradual

schedules = st.builds(
    lambda low, more, begin, length, every: Gradual(
        low + more, begin + length, begin, every, low
    ),
    st.floats(0, 0.4), st.floats(0, 0.5), st.integers(0, 50), st.integers(1, 50),
    st.integers(1, 9),
)  # fmt: skip


@given(schedules)
def test_it_rises_from_the_first_to_the_last(schedule: Gradual) -> None:
    values = [schedule.sparsity(step) for step in range(schedule.begin, schedule.end + 5)]
    assert values == sorted(values)
    assert values[0] == pytest.approx(schedule.initial)
    assert values[-1] == schedule.final
    cuts = [schedule.last_cut(step) for step in range(200)]
    planned = sorted({*range(schedule.begin, schedule.end, schedule.every), schedule.end})
    assert [cut for cut in dict.fromkeys(cuts) if cut is not None] == planned
    assert all(cut is None or cut <= step for step, cut in enumerate(cuts))
    assert cuts[: schedule.begin] == [None] * schedule.begin


def test_golden() -> None:
    plan = Gradual(0.8, end=200, begin=100, every=50, initial=0.4)
    assert [plan.sparsity(step) for step in (100, 150, 200, 300)] == pytest.approx(
        [0.4, 0.75, 0.8, 0.8]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"final": 1.0}, {"final": -0.1}, {"initial": 0.9}, {"begin": -1}, {"end": -1},
        {"every": 0},
    ],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(MaskError, match=f"{next(iter(wrong))} is"):
        Gradual(**{"final": 0.5, "end": 10, **wrong})  # type: ignore[arg-type]
