"""Rates that a person can check by hand: a peak of 1 over ten steps."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from secateur.errors import TrainingError
from secateur.training.learning_rate import (
    Rates,
    build_schedule,
    hurt,
    rates_of,
    retraining_rates,
)
from secateur.training_settings import Schedule, TrainingSpec

HALF = math.sqrt(0.5)
TABLES: dict[str, tuple[Rates, list[float]]] = {
    "constant": (Rates(1.0), [1.0] * 10),
    "linear": (Rates(1.0, "linear"), [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
    "cosine": (Rates(1.0, "cosine"), [(1 + math.cos(math.pi * k / 10)) / 2 for k in range(10)]),
    "step": (Rates(1.0, "step"), [*[1.0] * 5, *[0.1] * 3, *[0.01] * 2]),
    "two drops": (Rates(1.0, "step", milestones=(0.2, 0.9)), [1, 1, *[0.1] * 7, 0.01]),
    # A third is down, from the top; before that it rises from a 25th.
    "one-cycle": (
        Rates(1.0, "one-cycle", warmup=0.4),
        [
            *(0.04 + 0.96 * rise for rise in (0, (1 - HALF) / 2, 0.5, (1 + HALF) / 2)),
            *((1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)),
        ],
    ),
    "warm-up": (Rates(1.0, warmup=0.4), [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]),
    "warm-up, linear": (
        Rates(1.0, "linear", warmup=0.2),
        [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125],
    ),
    "the last half": (
        Rates(1.0, "linear", begin=0.5),
        [0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_by_hand(name: str) -> None:
    rates, expected = TABLES[name]
    assert [rates.at(step, 10) for step in range(10)] == pytest.approx(expected)


@given(
    schedule=st.sampled_from(get_args(Schedule)),
    warmup=st.floats(0, 0.9),
    begin=st.floats(0, 1),
    steps=st.integers(0, 50),
)
def test_no_rate_is_negative_or_above_the_peak(
    schedule: str, warmup: float, begin: float, steps: int
) -> None:
    rates = Rates(2.0, schedule, warmup, begin=begin)
    for step in range(steps + 3):
        assert 0 <= rates.at(step, steps) <= 2.0 + 1e-12


def test_a_schedule_that_nobody_knows() -> None:
    with pytest.raises(TrainingError, match="the schedule is 'zigzag', expected one of constant"):
        Rates(1.0, "zigzag")


def test_the_optimizer_follows() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), 0.5)
    plan = build_schedule(optimizer, Rates(0.5, "linear"), 4)
    found = []
    for _ in range(6):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        plan.step()
    assert found == pytest.approx([0.5, 0.375, 0.25, 0.125, 0, 0])


def spec(**settings: Any) -> TrainingSpec:
    return TrainingSpec(base_epochs=10, retrain_epochs=4, learning_rate=0.1, **settings)


def test_fine_tuning_has_a_rate_and_a_schedule_of_its_own_or_the_dense_nets() -> None:
    usual = spec(schedule="cosine", warmup=0.1)
    assert retraining_rates(usual, 4) == rates_of(usual) == Rates(0.1, "cosine", 0.1)
    own = spec(schedule="cosine", retrain_schedule="linear", retrain_learning_rate=0.01)
    assert retraining_rates(own, 4) == Rates(0.01, "linear")


def test_rewinding_rates_repeats_the_last_ones_of_the_dense_net() -> None:
    settings = spec(schedule="linear", retrain="rewind-rate")
    dense, again = rates_of(settings), retraining_rates(settings, 4)
    assert [again.at(step, 40) for step in range(40)] == pytest.approx(
        [dense.at(60 + step, 100) for step in range(40)]
    )
    # As long as the dense net's, or longer: all of it.
    assert retraining_rates(settings, 10).begin == retraining_rates(settings, 25).begin == 0


def test_rewinding_weights_goes_on_from_their_epoch() -> None:
    settings = spec(schedule="linear", retrain="rewind-weights")
    assert (settings.kept_epoch, retraining_rates(settings, 4).begin) == (6, 0.6)
    settings = spec(schedule="linear", retrain="rewind-weights", rewind_epoch=1)
    assert (settings.kept_epoch, retraining_rates(settings, 4).begin) == (1, 0.1)
    assert spec(rewind_epoch=1).kept_epoch is None


def test_an_adaptive_start_is_as_high_as_the_cut_hurt_or_as_there_is_time() -> None:
    settings = spec(schedule="cosine", retrain="adaptive")
    assert retraining_rates(settings, 2, hurt=0.5) == Rates(0.05, "linear")
    assert retraining_rates(settings, 8, hurt=0.5) == Rates(0.1 * 0.8, "linear")
    assert retraining_rates(settings, 40, hurt=2.0) == Rates(0.1, "linear")


def test_what_a_cut_hurts_by_hand() -> None:
    weights = {"a": torch.tensor([3.0, -4.0]), "b": torch.tensor([[12.0, 0.0]])}
    # 3 of 13 in norm, one of three weights: the zero is not a weight that could go.
    masks = {"a": torch.tensor([False, True]), "b": torch.tensor([[True, False]])}
    assert hurt(weights, masks) == pytest.approx(3 / 13 / math.sqrt(1 / 3))
    assert hurt(weights, {}) == hurt(weights, {"a": torch.ones(2, dtype=torch.bool)}) == 0
    every: dict[str, Tensor] = {name: torch.zeros_like(one) > 0 for name, one in weights.items()}
    assert hurt(weights, every) == 1
