from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secateur.errors import SpecError
from secateur.registry import METHODS
from secateur.spec import StudySpec
from secateur.study.budget import passes_of, stages_of
from secateur.study.plan import POINT, Run, plan

SOURCES = {"data": "d" * 64}
LEVELS = [0.3, 0.5, 0.7, 0.9]


def study(methods: dict[str, Any], **training: Any) -> StudySpec:
    asked = {"training": {"budget": "total", **training}, "levels": LEVELS, "methods": methods}
    return StudySpec.model_validate(asked)


def points(spec: StudySpec) -> list[Run]:
    return [run for run in plan(spec, SOURCES) if run.kind == POINT]


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # the first example pays for what planning imports
@given(
    base=st.integers(0, 30),
    more=st.integers(0, 30),
    sparsity=st.integers(1, 6),
    spread=st.sampled_from(["even", "last"]),
    levels=st.integers(1, 4),
    distill=st.sampled_from([0.0, 0.5]),
)
def test_every_point_of_every_method_has_consumed_the_same(
    base: int, more: int, sparsity: int, spread: str, levels: int, distill: float
) -> None:
    """Whatever is registered: a method that forgets to count something is found here."""
    every: dict[str, Any] = {
        name: {method.prepare.epochs: sparsity} if method.prepare else {}
        for name, method in METHODS.items()
    }
    retrain = 3 * levels + sparsity + more
    spec = study(every, base_epochs=base, retrain_epochs=retrain, spread=spread,
                 distill=distill)  # fmt: skip
    spec = spec.model_copy(update={"levels": spec.levels[:levels]})
    found = points(spec)
    assert {run.method for run in found} == set(every)
    assert {sum(run.spent.values()) for run in found} == {base + retrain}
    for run in found:
        stages = sum(stage.epochs for stage in run.stages)
        assert run.epochs == (stages if run.stages else base + retrain)
        assert [stage.level for stage in run.stages][-1:] in ([run.level], [])
        taught, retrained = 3 * run.spent.get("teacher", 0), run.spent["retrain"]
        own = bool(distill) and METHODS[run.method].start == "trained"
        assert taught in (range(retrained - 1, retrained + 3) if own else (0,))


# method: what its fourth level trains for, cut by cut, of 13 epochs after the base net's 5.
SHARES = {
    "magnitude": [3, 3, 3, 4],
    "l1-filter": [13],
    "slimming": [11],
    "group-lasso": [11],
    "growing": [13],
    "dense": [13],
}


@pytest.mark.parametrize("method", SHARES)
def test_who_gets_how_much(method: str) -> None:
    spec = study({method: {"sparsity_epochs": 2} if METHODS[method].prepare else {}},
                 base_epochs=5, retrain_epochs=13)  # fmt: skip
    last = [run for run in points(spec) if run.method == method][-1]
    assert [stage.epochs for stage in last.stages] == SHARES[method]
    assert last.depth == len(last.stages)


# epochs after the base net's: those retrained, and what a teacher's passes count as.
TAUGHT = {4: (3, 1), 5: (4, 1), 6: (4, 2), 7: (5, 2), 8: (6, 2)}


@pytest.mark.parametrize("epochs", TAUGHT)
def test_of_a_total_a_teacher_takes_a_quarter(epochs: int) -> None:
    spec = study({"l1-filter": {}}, base_epochs=5, retrain_epochs=epochs, distill=0.5)
    for run in points(spec):
        assert (run.epochs, run.spent["teacher"]) == TAUGHT[epochs]


def test_of_a_level_a_teacher_comes_on_top_and_is_rounded_once_a_chain() -> None:
    settings = {
        "training": {"base_epochs": 5, "retrain_epochs": 4, "distill": 0.5},
        "levels": LEVELS,
        "methods": {"magnitude": {}, "scratch": {"like": "magnitude"}, "snip": {}, "dense": {}},
    }
    found = plan(StudySpec.model_validate(settings), SOURCES)
    spent = {
        name: [run.spent.get("teacher", 0) for run in found if run.method == name and run.level]
        for name in ("magnitude", "scratch", "snip")
    }
    assert spent == {"magnitude": [2, 3, 4, 6], "scratch": [0] * 4, "snip": [0] * 4}
    of_scratch = [sum(run.spent.values()) for run in found if run.method == "scratch"]
    assert of_scratch == [5 + 4 + 2, 5 + 8 + 3, 5 + 12 + 4, 5 + 16 + 6]
    # The dense net goes on until it has had as much, its own teacher's passes included.
    dense = [sum(run.spent.values()) for run in found if run.method == "dense"]
    assert dense == [5, *of_scratch]


def test_a_chain_that_leaves_a_teacher_no_room_is_refused() -> None:
    with pytest.raises(SpecError, match=r"a teacher, expected at least 5 for the 4 cuts"):
        points(study({"magnitude": {}}, base_epochs=5, retrain_epochs=4, distill=0.5))
    assert points(study({"magnitude": {}}, base_epochs=5, retrain_epochs=5, distill=0.5))


def test_all_but_the_last_may_be_short() -> None:
    spec = study({"magnitude": {}}, base_epochs=5, retrain_epochs=13, spread="last")
    found = [[stage.epochs for stage in run.stages] for run in points(spec) if run.level]
    assert found == [[13], [1, 12], [1, 1, 11], [1, 1, 1, 10]]


def test_a_chain_cuts_every_level_before_its_own_and_starts_from_the_base_net() -> None:
    spec = study({"magnitude": {}}, base_epochs=5, retrain_epochs=13)
    base, *rest = plan(spec, SOURCES)
    assert (base.kind, base.title, base.is_base) == ("start", "dense base seed 0", True)
    for run in rest:
        assert dict(run.parents) == {"base": base.digest}
    assert [stage.level[0] for stage in rest[3].stages] == LEVELS


def test_dense_is_there_without_being_asked_for_and_the_base_net_is_no_point() -> None:
    found = points(study({"l1-filter": {}}, base_epochs=5, retrain_epochs=2))
    assert [(run.method, sum(run.spent.values())) for run in found[-1:]] == [("dense", 7)]


def test_scratch_trains_for_the_whole_of_it() -> None:
    found = points(study({"scratch": {"like": "magnitude"}}, base_epochs=5, retrain_epochs=4))
    assert {run.epochs for run in found if run.method == "scratch"} == {9}


@pytest.mark.parametrize(
    ("methods", "epochs", "least"),
    [
        ({"magnitude": {}}, 3, 4),
        ({"slimming": {"sparsity_epochs": 5}}, 4, 6),
    ],
)
def test_a_budget_that_is_too_small_is_refused_with_what_it_takes(
    methods: dict[str, Any], epochs: int, least: int
) -> None:
    with pytest.raises(SpecError, match=rf"training.retrain_epochs is {epochs} .*at least {least}"):
        points(study(methods, base_epochs=5, retrain_epochs=epochs))


def test_without_any_retraining_there_is_nothing_to_share() -> None:
    found = points(study({"l1-filter": {}}, base_epochs=5, retrain_epochs=0))
    assert {sum(run.spent.values()) for run in found} == {5}


def test_a_level_by_itself_has_what_it_always_had() -> None:
    spec = StudySpec.model_validate({"training": {"retrain_epochs": 3}, "methods": {"dense": {}}})
    assert [stage.epochs for stage in stages_of(spec, "magnitude", [(0.5,)])] == [3]
    assert passes_of(spec, "magnitude") == 0


def test_another_spread_is_another_run_and_the_other_budget_too() -> None:
    kinds = [{}, {"spread": "last"}, {"budget": "level"}]
    names = [
        {run.digest for run in points(study({"magnitude": {}}, retrain_epochs=9, **kind))}
        for kind in kinds
    ]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
