"""What pydantic says to do is told as what was expected, whatever the setting."""

from typing import Any

import pytest
from pydantic import ValidationError

from secateur.errors import SecateurError, SpecError
from secateur.foundation.expectation import expectation
from secateur.spec import StudySpec, check_study

WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"model": 3}, "model is 3, expected a name, or a table with `name` and `options`"),
    ({"model": {"options": {}}}, "model.name is left out, expected a value"),
    ({"model": {"name": 3}}, "model.name is 3, expected text"),
    ({"model": {"name": "conv4", "options": 3}}, "model.options is 3, expected a table"),
    ({"model": ":build"}, "expected package.module:function, as in mynets:build"),
    ({"model": "mynets:"}, "expected package.module:function, as in mynets:build"),
    ({"seeds": 1.5}, "seeds is 1.5, expected a number of seeds, 1 or more, or a list"),
    ({"seeds": "three"}, "seeds is 'three', expected a number of seeds"),
    ({"name": "../x"}, "name is '../x', expected text of the form ^[A-Za-z0-9]"),
    ({"name": 3}, "name is 3, expected text."),
    ({"seeds": [1, "a"]}, "seeds.1 is 'a', expected a whole number."),
    ({"levels": 3}, "expected a number from 0 up to"),
    ({"training": 3}, "training is 3, expected a table"),
    ({"training": {"base_epochs": -1}}, "training.base_epochs is -1, expected at least 0."),
    ({"training": {"batch_size": "x"}}, "training.batch_size is 'x', expected a whole number."),
    ({"training": {"learning_rate": "x"}}, "expected a number."),
    ({"training": {"learning_rate": float("inf")}}, "expected a finite number."),
    ({"training": {"sparse_retraining": 3}}, "expected true or false."),
    ({"training": {"optimizer": "sgdd"}}, "expected 'adam', 'adamw' or 'sgd'. Did you mean"),
    ({"training": {"devices": 99}}, "training.devices is 99, expected at most the 32 examples"),
    ({"methods": {}}, "methods is {}, expected at least 1 of them."),
    ({"methods": 3}, "methods is 3, expected a table."),
    ({"methods": {"slimming": {"penalty": -1}}}, "methods.slimming.penalty is -1, expected "),
    ({"metrics": 3}, "metrics is 3, expected a list."),
    ({"tuned_epochs": -1}, "tuned_epochs is -1, expected at least 0."),
)


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_what_was_expected_is_a_thing(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_study({"methods": {"dense": {}}, **values}, "mine.toml")
    assert words in str(caught.value)
    for told in ("nput should", "valid", "instance of", "required", "{'base"):
        assert told not in str(caught.value)


def answers(values: dict[str, Any]) -> list[str]:
    try:
        StudySpec.model_validate(values)
    except ValidationError as error:
        return [expectation(one) for one in error.errors()]
    except SecateurError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("field", StudySpec.model_fields)
def test_whatever_a_setting_is_given_no_answer_is_an_order(field: str) -> None:
    for value in (None, 3, -1, 0.5, "x", [], {}, [{}], [[]], float("nan"), True):
        told = answers({"methods": {"dense": {}}, field: value})
        assert not [text for text in told if "nput should" in text or "valid " in text], value
