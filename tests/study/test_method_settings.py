from typing import Any

import pytest

from secateur.errors import SpecError
from secateur.registry import METHODS
from secateur.spec import StudySpec
from secateur.study.method_settings import files_of, layers_of, passes_for_cut, training_for
from secateur.study.plan import plan

SOURCES = {"data": "d" * 64}


def study(methods: dict[str, Any], **settings: Any) -> StudySpec:
    return StudySpec.model_validate({"levels": [0.5, 0.9], "methods": methods, **settings})


def test_a_methods_own_choice_of_layers_stands_instead_of_the_studys() -> None:
    spec = study({"magnitude": {"exclude": []}, "l1-filter": {}}, exclude=["fc"], only=["conv*"])
    assert layers_of(spec, "magnitude") == {"only": ("conv*",)}
    assert layers_of(spec, "l1-filter") == {"exclude": ("fc",), "only": ("conv*",)}


def test_a_protected_share_is_nothing_to_single_weights() -> None:
    spec = study({"magnitude": {}, "l1-filter": {}, "combined": {"protected": 0}}, version=2)
    guard = {"max_sparsity": ((":last", 0.8),)}
    assert layers_of(spec, "magnitude") == layers_of(spec, "combined") == guard
    assert layers_of(spec, "l1-filter") == {"protected": 0.1, **guard}


def test_the_studys_scores_are_nothing_to_a_control_and_its_masks_are() -> None:
    spec = study({"magnitude": {}, "random-weight": {}, "dense": {}}, scores="s", masks="m")
    assert files_of(spec, "magnitude") == {"scores": "s", "masks": "m"}
    assert files_of(spec, "random-weight") == {"masks": "m"}
    assert files_of(spec, "dense") == {}


def test_weights_alone_need_no_pass_over_the_data() -> None:
    spec = study({"magnitude": {}, "dense": {}})
    assert [passes_for_cut(spec, name) for name in ("magnitude", "dense", "synflow")] == [0, 0, 0]
    assert [passes_for_cut(spec, name) for name in ("fpgm", "sparsegpt", "grasp")] == [0, 1, 2]


def test_an_allocation_that_looks_at_data_needs_a_pass() -> None:
    owl = {"allocation": "owl"}
    spec = study({"magnitude": owl, "wanda": owl, "grasp": owl, "lamp": {"allocation": "erk"}})
    found = [passes_for_cut(spec, name) for name in spec.methods]
    assert found == [1, 1, 2, 0]
    scored = study({"magnitude": owl, "wanda": {}}, scores="mine.safetensors")
    assert [passes_for_cut(scored, name) for name in scored.methods] == [1, 0]


@pytest.mark.parametrize("like", [name for name in METHODS if not METHODS[name].parts])
def test_scratch_can_copy_only_what_cuts(like: str) -> None:
    with pytest.raises(SpecError, match=f"methods.scratch.like is '{like}'.*magnitude"):
        plan(study({"scratch": {"like": like}}), SOURCES)


@pytest.mark.parametrize("name", ["scratch", "dense"])
def test_levels_of_a_method_that_prunes_nothing_are_refused_not_ignored(name: str) -> None:
    with pytest.raises(SpecError, match=rf"methods.{name}.levels is set"):
        plan(study({name: {"levels": [0.5]}}), SOURCES)


@pytest.mark.parametrize(
    ("method", "level", "known"),
    [("magnitude", "0.3/0.9", "one sparsity"), ("combined", "0.3/0.6/0.9", "2 with a slash")],
)
def test_a_level_has_one_sparsity_or_one_a_part(method: str, level: str, known: str) -> None:
    with pytest.raises(SpecError, match=f"a level of {method} is {level}, expected .*{known}"):
        plan(study({method: {"levels": [level]}}), SOURCES)


@pytest.mark.parametrize("name", ["change", "snip", "grasp", "synflow", "rigl", "lottery"])
def test_what_needs_the_first_weights_is_refused_on_a_trained_start(name: str) -> None:
    asked = {"methods": {name: {}}, "levels": [0.5], "base": {"checkpoint": "net.safetensors"}}
    with pytest.raises(SpecError, match=f"methods.{name} is beside a base checkpoint"):
        plan(StudySpec.model_validate(asked), SOURCES)


def test_neither_may_scratch_copy_them_there() -> None:
    asked = {"methods": {"scratch": {"like": "snip"}}, "base": {"checkpoint": "net.safetensors"}}
    with pytest.raises(SpecError, match=r"methods.snip is beside a base checkpoint"):
        plan(StudySpec.model_validate(asked), SOURCES)


def test_an_untrained_net_waits_for_no_other_and_is_trained_for_the_whole_budget() -> None:
    spec = study({"grasp": {}, "l1-filter": {}})
    base, grasp, _, filters, _ = plan(spec, SOURCES)
    assert (dict(grasp.parents), grasp.epochs) == ({}, base.epochs + filters.epochs)
    assert dict(grasp.spent) == {
        "base": 0, "sparsity": 0, "retrain": grasp.epochs, "statistics": 2,
    }  # fmt: skip
    longer = study({"grasp": {}}).model_copy(update={"seeds": (1,)})
    assert grasp.digest != plan(longer, SOURCES)[1].digest


def test_a_loop_of_ones_own_sets_its_own_loss() -> None:
    spec = study({"dense": {}}, train="mine:train", training={"distill": 0.5})
    with pytest.raises(SpecError, match=r"training.distill is set beside `train`"):
        plan(spec, SOURCES)


@pytest.mark.parametrize("retrain", ["rewind-rate", "rewind-weights"])
def test_a_loop_of_ones_own_sets_its_own_rates(retrain: str) -> None:
    spec = study({"dense": {}}, train="mine:train", training={"retrain": retrain})
    with pytest.raises(SpecError, match=rf"training.retrain is '{retrain}' beside `train`"):
        plan(spec, SOURCES)


def test_a_pattern_says_the_level_of_a_method_that_has_none_of_its_own() -> None:
    spec = study(
        {"magnitude": {"granularity": "1:4"}, "lamp": {}, "scratch": {"like": "magnitude"}}
    )
    assert spec.levels_of("magnitude") == ((0.75,),)
    assert spec.levels_of("lamp") == ((0.5,), (0.9,))
    cut = [run.title for run in plan(spec, SOURCES) if run.method in ("magnitude", "scratch")]
    assert cut == ["magnitude 0.75 seed 0", "scratch 0.75 seed 0"]
    own = study({"combined": {"granularity": "2:4", "levels": ["0.3/0.5"]}})
    assert [run.title for run in plan(own, SOURCES)][1:] == ["combined 0.3/0.5 seed 0"]


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ({"magnitude": {"granularity": "2:4", "levels": [0.5, 0.9]}}, "0.9 with .*expected 0.5: 2"),
        ({"combined": {"granularity": "2:4", "levels": ["0.5/0.3"]}}, "0.3 with granularity '2:4'"),
        (
            {"magnitude": {"granularity": "2:4", "levels": ["macs=0.5"]}},
            "macs=0.5 with granularity",
        ),
        ({"l1-filter": {"granularity": "4x4"}}, "expected one of filter, channel"),
    ],
)
def test_a_granularity_and_what_contradicts_it_are_refused(
    methods: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        plan(study(methods), SOURCES)


@pytest.mark.parametrize("word", ["2:2", "row", 4])
def test_a_granularity_that_is_none_is_refused_with_the_words(word: object) -> None:
    with pytest.raises(SpecError, match="n are kept of m"):
        study({"magnitude": {"granularity": word}})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"train": "mine:train"}, "beside `train`"),
        ({"training": {"repair": "bias"}}, "beside training.repair: its nets go back"),
    ],
)
def test_a_method_that_rewinds_needs_the_rates_and_the_weights_of_the_dense_net(
    settings: dict[str, Any], said: str
) -> None:
    for methods in ({"lottery": {}}, {"scratch": {"like": "lottery"}}):
        with pytest.raises(SpecError, match=f"methods.lottery is {said}"):
            plan(study(methods, **settings), SOURCES)


def test_a_method_that_rewinds_does_so_where_the_study_does_not() -> None:
    spec = study({"lottery": {}, "magnitude": {}})
    found = training_for(spec, "lottery")
    assert (found.retrain, found.kept_epoch) == ("rewind-weights", 0)
    assert training_for(spec, "magnitude") == spec.training
    later = study({"lottery": {}}, training={"retrain": "rewind-weights", "rewind_epoch": 3})
    assert training_for(later, "lottery") == later.training
    # It takes nothing from the dense net's run, which has the name that it always had.
    runs, alone = plan(spec, SOURCES), plan(study({"magnitude": {}}), SOURCES)
    assert {run.digest for run in alone} < {run.digest for run in runs}


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("dense", {"ranking": "global"}),
        ("dense", {"scope": "conv"}),
        ("dense", {"granularity": "2:4"}),
        ("scratch", {"allocation": "erk"}),
        ("magnitude", {"reduce": "max"}),
        ("lamp", {"reduce": "sum"}),
    ],
)
def test_an_option_that_a_method_has_no_use_for_is_refused(
    method: str, options: dict[str, Any]
) -> None:
    name = next(iter(options))
    with pytest.raises(SpecError, match=rf"methods\.{method}\.{name} is .*, expected none: "):
        plan(study({"magnitude": {}, method: options}), SOURCES)


def test_one_that_it_has_a_use_for_is_not() -> None:
    plan(study({"l1-filter": {"reduce": "max"}, "combined": {"reduce": "mean"}}), SOURCES)


def test_the_repair_of_a_version_is_not_that_of_a_method_that_has_no_moment_for_it() -> None:
    methods: dict[str, Any] = {"magnitude": {}, "lottery": {}, "ac-dc": {}, "growing": {}}
    spec = study(methods, version=2, training={"budget": "total", "retrain_epochs": 9})
    mended = {name: training_for(spec, name).repair for name in methods}
    assert mended == {"magnitude": ("least-squares",), "lottery": (), "ac-dc": (), "growing": ()}
    points = [run for run in plan(spec, SOURCES) if run.kind == "point"]
    assert len({sum(run.spent.values()) for run in points}) == 1
    # Whoever asks for it by name is told.
    with pytest.raises(SpecError, match=r"lottery is beside training.repair"):
        plan(study(methods, version=2, training={"repair": ["bias"]}), SOURCES)
