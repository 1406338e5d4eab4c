"""Ours against the published figure, and its band."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from secateur.study.aggregate import estimate
from secateur.yardsticks.published import YARDSTICKS
from secateur.yardsticks.readings import Reading
from secateur.yardsticks.verdict import Verdict, verdicts

from .test_readings import DENSE, LOSS, nets


def of(value: float, higher: bool, *ours: float) -> Verdict:
    values = tuple(map(Fraction, ours))
    yardstick = replace(LOSS, value=value, higher=higher)
    return Verdict(yardstick, Reading(values, ""), estimate(values))


@pytest.mark.parametrize(
    ("case", "word"),
    [
        ((0.5, False, 0.4), "pass"),
        ((0.5, False, 0.6), "FAIL"),
        ((0.5, False, 0.6, 0.4, 0.7), "within band"),
        ((40, True, 41), "pass"),
        ((40, True, 39), "FAIL"),
        ((40, True, 38, 40, 41), "within band"),
        ((40, True, 30, 30, 31), "FAIL"),
    ],
)
def test_the_mean_passes_or_its_band_does_or_neither(case: Any, word: str) -> None:
    found = of(*case)
    assert found.word == word
    assert found.passed is (word != "FAIL")


def test_what_was_not_measured_is_missing_and_no_pass() -> None:
    found = verdicts(YARDSTICKS, {})
    assert {one.word for one in found} == {"missing"}
    assert not any(one.passed for one in found)
    assert verdicts([LOSS], {"d": {"": []}})[0].word == "missing"
    assert verdicts([LOSS], {"d": {"": DENSE}})[0].word == "missing"


def test_as_plain_values_it_has_all_that_the_word_rests_on() -> None:
    (one,) = verdicts([LOSS], {"d": {"": [*DENSE, *nets(90, (89, 91, 93), 400)]}})
    values = one.to_dict()
    assert values["seeds"] == [1.0, 0.0, -1.0]
    assert (values["value"], values["ours"], values["verdict"]) == (0.0, 0.0, "pass")
    assert values["band"] == pytest.approx(2.484, abs=1e-3)
