"""The table of published figures is whole."""

import re

import pytest

from secateur.errors import UnknownNameError
from secateur.registry import METHODS
from secateur.yardsticks.published import YARDSTICKS, chosen
from secateur.yardsticks.readings import READINGS
from secateur.yardsticks.studies import STUDIES


def test_every_row_says_where_it_stands_and_how_ours_is_read() -> None:
    assert len({one.name for one in YARDSTICKS}) == len(YARDSTICKS)
    for one in YARDSTICKS:
        assert re.search(r"20\d\d, arXiv \d{4}\.\d{5}, ", one.source)
        assert one.study in STUDIES
        assert one.reading in READINGS
        assert one.method in METHODS
        assert one.method in STUDIES[one.study].methods


def test_a_loss_is_what_its_words_say() -> None:
    for one in YARDSTICKS:
        errors = re.search(r"error ([\d.]+) -> ([\d.]+)", one.says)
        if errors and one.unit == "points":
            assert one.value == pytest.approx(float(errors[2]) - float(errors[1]))


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'han-lenet-5'"):
        chosen(["han-lenet5"], STUDIES)
    assert chosen([], ["resnet20"]) == chosen(["renda-rewinding"], STUDIES)
