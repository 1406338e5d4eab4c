"""The studies of the yardsticks, for every size and data set."""

import pytest

from secateur.errors import UsageError
from secateur.study.plan import plan
from secateur.yardsticks.published import YARDSTICKS
from secateur.yardsticks.studies import DATA, SIZES, STUDIES, of_data, specs

CASES = [(data, name) for data in (*DATA, "digits.npz") for name in of_data(data)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("data", "name"), CASES)
def test_every_study_can_be_planned_with_every_level_that_is_read(
    data: str, name: str, size: str
) -> None:
    for spec in specs(name, data, size).values():
        runs = plan(spec, {"data": "..."})
        planned = {(run.method, run.level) for run in runs}
        for one in YARDSTICKS:
            if one.study == name and one.level:
                assert (one.method, one.level) in planned


def test_the_small_size_is_as_small_on_every_data_set() -> None:
    for data in ("fashion-mini", "mnist"):
        assert specs("lenet-5", data, "small")[""].data.options == {"train": 3_000}
    assert specs("lenet-5", "mnist", "full")[""].data.options == {}
    assert specs("lenet-5", "a.npz", "small")[""].data.options == {"path": "a.npz"}


def test_the_recipes_of_a_study_share_the_dense_net() -> None:
    first, last = specs("resnet20", "fashion-mini", "small").values()
    digests = [{r.digest for r in plan(s, {"data": "..."}) if r.is_base} for s in (first, last)]
    assert digests[0] == digests[1]


def test_other_data_are_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"one of fashion-mini, .*\.npz"):
        of_data("shapes")
    assert set(of_data("mnist")) | set(of_data("cifar10")) == set(STUDIES)
