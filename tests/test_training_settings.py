"""The settings of training that depend on each other."""

from typing import Any

import pytest
from pydantic import ValidationError

from secateur.training_settings import TrainingSpec


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, None),
        ({"rewind_epoch": 3}, None),
        ({"retrain": "rewind-rate"}, None),
        ({"retrain": "rewind-weights"}, 6),
        ({"retrain": "rewind-weights", "retrain_epochs": 40}, 0),
        ({"retrain": "rewind-weights", "rewind_epoch": 3}, 3),
    ],
)
def test_the_epoch_whose_weights_are_kept(given: dict[str, Any], kept: int | None) -> None:
    spec = TrainingSpec.model_validate({"base_epochs": 10, "retrain_epochs": 4, **given})
    assert spec.kept_epoch == kept


def test_nobody_goes_back_to_an_epoch_that_never_was() -> None:
    with pytest.raises(ValidationError, match="`rewind_epoch` of at most the 10 base epochs"):
        TrainingSpec(base_epochs=10, retrain="rewind-weights", rewind_epoch=11)


def test_repairs_are_in_the_order_in_which_they_are_done() -> None:
    one, other = (TrainingSpec(repair=("bias", "batch-norm")), TrainingSpec(repair="batch-norm"))  # type: ignore[arg-type]
    assert (one.repair, other.repair) == (("batch-norm", "bias"), ("batch-norm",))


@pytest.mark.parametrize("given", [{"distill": 1.5}, {"distill": -0.1}, {"temperature": 0}])
def test_a_recipe_out_of_range(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec.model_validate(given)


@pytest.mark.parametrize(
    ("given", "rate"),
    [
        ({"retrain_learning_rate": "3x"}, 0.003),
        ({"retrain_learning_rate": "0.5x", "learning_rate": 0.1}, 0.05),
        ({"retrain_learning_rate": "1x", "learning_rate": 1e-05}, 1e-05),
        ({"retrain_learning_rate": 0.2}, 0.2),
        ({}, None),
    ],
)
def test_a_rate_of_retraining_in_multiples_of_the_dense_nets(
    given: dict[str, Any], rate: float | None
) -> None:
    assert TrainingSpec.model_validate(given).retrain_learning_rate == rate


@pytest.mark.parametrize("text", ["x", "-3x", "0x", "3 x", "threex", "1e400x"])
def test_a_multiple_that_is_none(text: str) -> None:
    with pytest.raises(ValidationError):
        TrainingSpec.model_validate({"retrain_learning_rate": text})
