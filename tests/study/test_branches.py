"""Whole residual branches in a study: cut, retrained as a smaller net, and saved."""

from typing import Any

import pytest

from secateur.data.shapes import shapes
from secateur.spec import StudySpec
from secateur.study.plan import plan

from .small_nets import three_blocks
from .small_study import Study

BLOCK = 8 * 8 * 9
SETTINGS: dict[str, Any] = {
    "levels": [0.4, 0.7],
    "training": {"base_epochs": 1, "retrain_epochs": 1, "batch_size": 16},
    "methods": {
        "l1-filter": {"granularity": "branch"},
        "taylor-filter": {"granularity": "branch", "schedule": "gradual", "levels": [0.7]},
        "l2-filter": {
            "granularity": "branch",
            "schedule": "growing",
            "choose_at": 0.1,
            "levels": [0.7],
        },
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    data = shapes(train=32, val=10, test=10, size=8)
    return Study(tmp_path_factory.mktemp("branches"), data, SETTINGS, three_blocks)


@pytest.mark.parametrize(
    ("method", "step", "gone"),
    [("l1-filter", 0, 1), ("l1-filter", 1, 2), ("taylor-filter", 0, 2), ("l2-filter", 0, 2)],
)
def test_as_many_blocks_go_as_the_level_allows_and_their_work_with_them(
    study: Study, method: str, step: int, gone: int
) -> None:
    point = study.point(method, step)
    state, masks = study.saved(method, step)
    zero = [n for n in range(2, 5) if not state[f"{n}.conv.weight"].any()]
    assert len(zero) == gone
    for n in zero:
        assert not state[f"{n}.norm.bias"].any()
        assert not masks[f"{n}.norm.weight"].any()
    left = point.parameters - gone * (BLOCK + 16)
    assert (point.sparsity.part, point.compact_parameters) == (gone * BLOCK, left)
    assert point.macs == point.masked_macs - gone * BLOCK * 6 * 6


def test_levels_nest(study: Study) -> None:
    first, second = (study.saved("l1-filter", step)[1] for step in (0, 1))
    assert second.is_within(first)


def test_a_study_that_does_not_ask_for_it_has_the_digests_that_it_had() -> None:
    plain, asked = (
        [
            run.digest
            for run in plan(
                StudySpec.model_validate({"methods": {"l1-filter": own}, "levels": [0.5]}),
                {"data": "d"},
            )
        ]
        for own in ({}, {"granularity": "branch"})
    )
    assert plain[0] == asked[0]
    assert plain[-1] != asked[-1]
