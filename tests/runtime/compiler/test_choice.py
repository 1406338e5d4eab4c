"""Choices: which plan given timings lead to."""

import hypothesis
import pytest
from hypothesis import strategies as st

from secateur.point import Timing
from secateur.runtime.compiler.choice import (
    BACKENDS,
    DENSE,
    FOLDED,
    LANES,
    LAYERS,
    MIXED,
    ONNX,
    SERIAL,
    SLOWER,
    SPARSE,
    TORCH,
    Choice,
    fastest,
)


def took(median: float, q3: float | None = None) -> Timing:
    return Timing(5, median, median, median if q3 is None else q3)


def test_a_plan_that_is_held_up_now_and_then_is_not_taken() -> None:
    steady, stalling = Timing(5, 2e-4, 1.9e-4, 2.1e-4), Timing(5, 1e-4, 0.9e-4, 4e-3)
    assert fastest({LANES: stalling, TORCH: steady}) == TORCH


def test_what_one_thread_does_in_no_time_is_not_shared() -> None:
    brief, briefer, long, longer = (took(t) for t in (2e-4, 1e-4, 2e-3, 4e-3))
    assert fastest({SPARSE: briefer, SERIAL: brief}) == SERIAL
    assert fastest({SPARSE: long, SERIAL: longer}) == SPARSE
    assert fastest({SPARSE: briefer, TORCH: brief}) == SPARSE
    assert fastest({SPARSE: briefer, SERIAL: brief, TORCH: briefer}) == TORCH
    assert fastest({SPARSE: briefer, SERIAL: brief}, waiting=()) == SPARSE


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({SPARSE: 3.0, ONNX: 2.0, TORCH: 4.0}, ONNX),
        ({SPARSE: 1.9, ONNX: 2.0, TORCH: 4.0}, SPARSE),
        ({LAYERS: 1.0, SPARSE: 1.9, TORCH: 4.0}, LAYERS),
        ({MIXED: 5.0, TORCH: 4.0}, TORCH),
        ({SERIAL: 1.0, LANES: 2.0, TORCH: 4.0}, SERIAL),
        ({TORCH: 4.0, FOLDED: 3.0}, FOLDED),
    ],
)
def test_the_fastest_is_taken_the_dense_engines_among_them(times, expected) -> None:
    assert fastest({name: took(median) for name, median in times.items()}) == expected


def test_a_good_third_quartile_does_not_excuse_a_median_above_the_best_dense_engines() -> None:
    dense = took(1.0, 1.5)
    assert fastest({SPARSE: took(1.06, 1.1), ONNX: dense}) == ONNX
    assert fastest({SPARSE: took(1.04, 1.1), ONNX: dense}) == SPARSE
    assert fastest({SPARSE: took(1.04, 1.1), TORCH: took(0.9, 1.6), ONNX: dense}) == ONNX


seconds = st.floats(1e-6, 1.0)


@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
@hypothesis.given(
    st.dictionaries(st.sampled_from(BACKENDS), st.tuples(seconds, seconds), min_size=1),
    st.sampled_from(DENSE),
    st.tuples(seconds, seconds),
)
def test_the_promise_holds_whatever_was_measured(others, engine, own) -> None:
    """Not slower than the best dense engine by more than 5 %, unless that is one itself."""
    measured = {**others, engine: own}
    timings = {name: took(median, median + more) for name, (median, more) in measured.items()}
    chosen = fastest(timings)
    best = min(timings[name].median for name in DENSE if name in timings)
    assert chosen in DENSE or timings[chosen].median <= SLOWER * best


def test_a_choice_gives_back_the_memory_of_what_has_some() -> None:
    class Plan:
        released = False

        def __call__(self, *_tensors: object) -> None: ...

        def release(self) -> None:
            self.released = True

    made = Plan()
    Choice(1, SPARSE, made).release()
    Choice(1, TORCH, lambda *_: None).release()
    assert made.released
