"""What a study file leaves out is said before it is run."""

from typing import Any

import pytest

from secateur.cli.announcement import announcement
from secateur.spec import check_study
from secateur.study import presets


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "names no model and no data: this is conv4 on fashion-mini, 50 epochs for the dense"),
        ({"model": "lenet-5"}, "names no data: this is lenet-5 on fashion-mini"),
        ({"data": "mnist", "training": {"base_epochs": 0}}, "conv4 on mnist, no training of the"),
        ({"training": {"budget": "total", "retrain_epochs": 3}}, "and 3 for each point."),
        ({"model": "lenet-5", "data": "mnist"}, ""),
    ],
)
def test_what_a_file_leaves_out(settings: dict[str, Any], words: str) -> None:
    study = check_study({"methods": {"dense": {}}, **settings}, "mine.toml")
    said = announcement(study, "mine.toml")
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.parametrize("name", presets.names())
def test_an_embedded_study_is_known_by_its_name(name: str) -> None:
    assert announcement(presets.read(name), name) == ""
