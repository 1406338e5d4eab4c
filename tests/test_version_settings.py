"""What a version sets, and what it leaves to the user."""

from typing import Any

import pytest

from secateur.training_settings import TrainingSpec
from secateur.version_settings import DEFAULTS, guarded_patterns, with_defaults


@pytest.mark.parametrize("values", [{}, {"version": 1}, {"version": 3}, {"version": "2"}])
def test_a_version_without_settings_changes_nothing(values: dict[str, Any]) -> None:
    assert with_defaults(values) == values


def test_what_is_set_stays_table_by_table() -> None:
    own = {"version": 2, "protected": 0, "training": {"repair": [], "base_epochs": 3}}
    found = with_defaults(own)
    assert (found["protected"], found["max_sparsity"]) == (0, {":last": 0.8})
    assert found["training"] == DEFAULTS[2]["training"] | {"repair": [], "base_epochs": 3}
    assert own == {"version": 2, "protected": 0, "training": {"repair": [], "base_epochs": 3}}


def test_no_table_is_taken_for_one() -> None:
    assert with_defaults({"version": 2, "training": 7})["training"] == 7
    assert with_defaults({"version": 2, "max_sparsity": None})["max_sparsity"] is None


@pytest.mark.parametrize("training", [{"optimizer": "sgd"}, TrainingSpec(optimizer="sgd")])
def test_the_rate_was_measured_with_adam(training: object) -> None:
    found = with_defaults({"version": 2, "training": training})["training"]
    assert "retrain_learning_rate" not in found
    assert found["retrain_schedule"] == "one-cycle"


def test_the_patterns_of_a_version() -> None:
    assert {version: list(guarded_patterns(version)) for version in DEFAULTS} == {
        1: [],
        2: [":last"],
    }
