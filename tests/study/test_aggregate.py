import math
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secateur.errors import UnknownNameError, UsageError
from secateur.point import Epochs, Latency, Point, Share, accuracy
from secateur.study.aggregate import Estimate, estimate, replicates
from secateur.study.metrics import axes_of


def point(seed: int = 0, correct: int = 90, method: str = "magnitude", step: int = 0) -> Point:
    level = (0.5, 0.75, 0.9)[step]
    zeros = round(1000 * level)
    return Point(
        method=method,
        level=(level,),
        step=step,
        seed=seed,
        digest=f"{method}-{step}-{seed}",
        scores=(accuracy("val", correct, 100), accuracy("test", correct - 2, 100)),
        sparsity=Share(zeros, 1000),
        conv_sparsity=Share(zeros // 10, 100),
        model_sparsity=Share(zeros, 1010),
        parameters=1010,
        nonzero=1010 - zeros,
        masked_macs=5000,
        nonzero_macs=5000 - zeros,
        compact_parameters=1010,
        macs=5000,
        epochs=Epochs(12, 0, 4),
        seconds=1.5,
        checkpoint="weights.safetensors",
        latency=tuple(
            Latency(9, seconds, seconds, seconds, "torch-eager", 2, batch)
            for batch, seconds in ((1, 0.25), (64, 0.5))
        ),
        artifact_bytes=2048,
    )


@pytest.mark.parametrize(
    ("percents", "mean", "band"),
    [
        # Two: s = sqrt(2)/100, t(1) = 12.7062: 12.7062 * sqrt(2)/100 / sqrt(2).
        ((89, 91), 0.90, 0.127062),
        # Three: s = 1/100, t(2) = 4.30265: 4.30265/100 / sqrt(3).
        ((89, 90, 91), 0.90, 0.0248414),
        # Five: s = sqrt(2.5)/100, t(4) = 2.77645: 2.77645 * sqrt(2.5)/100 / sqrt(5).
        ((88, 89, 90, 91, 92), 0.90, 0.0196324),
        ((90, 90, 90), 0.90, 0.0),
    ],
)
def test_estimate_agrees_with_students_table(
    percents: tuple[int, ...], mean: float, band: float
) -> None:
    found = estimate([Fraction(percent, 100) for percent in percents])
    assert found.mean == mean
    assert found.n == len(percents)
    assert found.band == pytest.approx(band, rel=1e-5)


def test_one_seed_has_no_band_and_says_so() -> None:
    assert estimate([Fraction(9, 10)]) == Estimate(0.9, 1, None)
    assert str(estimate([Fraction(9, 10)])) == "0.900 (n=1)"
    assert str(estimate([Fraction(89, 100), Fraction(91, 100)])) == "0.900 ±0.127 (n=2)"


counts = st.lists(st.integers(0, 2000), min_size=1, max_size=8)


@given(counts.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_estimate_ignores_the_order_of_seeds(both: tuple[list[int], list[int]]) -> None:
    one, other = ([Fraction(count, 2000) for count in order] for order in both)
    assert estimate(one) == estimate(other)


@given(st.integers(0, 2000), st.integers(1, 9))
def test_equal_seeds_have_the_mean_of_one_to_the_bit(count: int, n: int) -> None:
    assert estimate([Fraction(count, 2000)] * n).mean == count / 2000


def test_replicates_group_by_method_and_step() -> None:
    points = [
        point(seed=1, step=1),
        point(seed=0, method="slimming"),
        point(seed=1, correct=88),
        point(seed=0, correct=90),
        point(seed=0, step=1),
    ]
    found = replicates(points)
    assert [(r.method, r.step, r.n) for r in found] == [
        ("magnitude", 0, 2),
        ("magnitude", 1, 2),
        ("slimming", 0, 1),
    ]
    assert found == replicates(reversed(points))
    first = found[0]
    assert [p.seed for p in first.points] == [0, 1]
    assert first.level == (0.5,)
    assert first.level_name == "0.5"
    assert first.mean("val_accuracy") == Fraction(89, 100)
    assert first.mean("test_accuracy") == Fraction(87, 100)
    assert first.estimate("val_accuracy").mean == 0.89
    assert found[2].estimate("val_accuracy").band is None


def test_a_latency_that_was_not_measured_is_an_error() -> None:
    (untimed,) = replicates([replace(point(), latency=())])
    with pytest.raises(UsageError, match="not measured"):
        untimed.mean("latency")


def test_replicates_of_nothing() -> None:
    assert replicates([]) == ()


def test_every_axis_reads_its_count() -> None:
    expected = {
        "val_accuracy": Fraction(9, 10),
        "test_accuracy": Fraction(88, 100),
        "sparsity": Fraction(1, 2),
        "conv_sparsity": Fraction(1, 2),
        "model_sparsity": Fraction(500, 1010),
        "nonzero": 510,
        "compact_parameters": 1010,
        "masked_macs": 5000,
        "nonzero_macs": 4500,
        "macs": 5000,
        "bytes": 2048,
        "epochs": 16,
        "training_seconds": Fraction(5, 2),
        "latency": Fraction(1, 4),
        "latency_64": Fraction(1, 2),
    }
    timed = replace(point(), training_seconds=2.5)
    (replicate,) = replicates([timed])
    axes = axes_of([timed])
    assert {name: replicate.mean(name) for name in axes} == expected
    higher = {name for name in axes if axes[name].higher}
    assert higher == {name for name in axes if name.endswith(("accuracy", "sparsity"))}


def test_an_axis_that_was_not_measured_says_so() -> None:
    (replicate,) = replicates([replace(point(), artifact_bytes=None, latency=())])
    with pytest.raises(UsageError, match="bytes on disk of magnitude is not measured"):
        replicate.mean("bytes")
    with pytest.raises(UsageError, match="latency at batch 64, s of magnitude is not measured"):
        replicate.mean("latency_64")


def test_a_net_without_convs_has_no_conv_sparsity() -> None:
    (replicate,) = replicates([replace(point(), conv_sparsity=Share(0, 0))])
    assert replicate.mean("conv_sparsity") == 0


def test_epochs_are_the_dearest_seeds() -> None:
    short = replace(point(seed=0), epochs=Epochs(12, 0, 3))
    (replicate,) = replicates([short, point(seed=1)])
    assert replicate.epochs == Epochs(12, 0, 4)


def test_an_unknown_axis_is_named() -> None:
    (replicate,) = replicates([point()])
    with pytest.raises(UnknownNameError, match="Did you mean 'sparsity'"):
        replicate.estimate("sparsty")


def test_a_seed_counted_twice_is_refused() -> None:
    with pytest.raises(UsageError, match=r"magnitude, step 0 is of the seeds 0, 0, expected each"):
        replicates([point(), point()])


def test_two_studies_in_one_step_are_refused() -> None:
    with pytest.raises(UsageError, match="expected one level a step"):
        replicates([point(seed=0), replace(point(seed=1), level=(0.6,))])


def test_a_band_is_finite() -> None:
    band = estimate([Fraction(0), Fraction(1)]).band
    assert band is not None
    assert math.isfinite(band)
