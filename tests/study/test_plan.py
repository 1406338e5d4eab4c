"""The plan's names are pinned: a digest that changes throws away everybody's finished runs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from secateur.registry import METHODS
from secateur.spec import StudySpec
from secateur.study.plan import Run, plan, settings_of
from secateur.training_settings import TrainingSpec

SOURCES = {"data": "d" * 64}
ALL: dict[str, Any] = {
    "magnitude": {},
    "l1-filter": {},
    "slimming": {"sparsity_epochs": 3},
    "combined": {},
    "random-weight": {},
    "random-filter": {},
    "scratch": {},
    "dense": {},
}


def study(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "training": {"base_epochs": 10, "retrain_epochs": 2},
        "levels": [0.5, 0.9],
        "methods": ALL,
    }
    return StudySpec.model_validate({**values, **changes})


def by_title(spec: StudySpec, sources: Mapping[str, str] = SOURCES) -> dict[str, str]:
    """Title -> digest; the dense points, which share a title, by their step too."""
    runs = plan(spec, sources)
    names = [f"{run.title} #{run.step}" if run.method == "dense" else run.title for run in runs]
    assert len(set(names)) == len(names)
    return {name: run.digest for name, run in zip(names, runs, strict=True)}


def changed(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    assert one.keys() == other.keys()
    return {title for title in one if one[title] != other[title]}


PINNED = {
    "dense base seed 0 #0": "fcbb065fddec81e373faa3d05eaffca35dee97c45eada8b7fd0f2a9bb8edc6e0",
    "magnitude 0.5 seed 0": "43e0533a801787659453e54ab000e3f7bb4c9f87174704c404860bb418d905b7",
    "magnitude 0.9 seed 0": "b1f51509fe8d2201af540a8b07bfa802bd653563721d8a1aec6b090cb9f9607b",
    "l1-filter 0.5 seed 0": "5781e2114724207aa602758a98dd00480fc7ef07143cc112a13a23170bf0254f",
    "l1-filter 0.9 seed 0": "a00fe17e6b83da94e8e06e4619e99f1ac5ff81484c4620e57f10ff02c0d3632c",
    "sparsity training seed 0": "12291f851603dbb5d81775949c486764564f91909fb6be235ab36c98c73939f4",
    "slimming 0.5 seed 0": "a835d9acba122cd32d6bb30e791905df4223cc214f2baffa327e489f11a29d09",
    "slimming 0.9 seed 0": "e9e89f66516ac7a1860cb5af080af0760aa8777fea351e9106cb7da2556976a8",
    "combined 0.5 seed 0": "fb411fa58f751c658aa402fdc3ea5a5d75ebd8534626d88046cfdd6bf5ddec38",
    "combined 0.9 seed 0": "7f1c68815f26aa132df6f298fc9d9c602d5f5f4bd6eddb22a38de8ea638f0b49",
    "random-weight 0.5 seed 0": "5eac133e6a02fcbb7dadb56f31bf17778e32566e03c424220628433dfc3ad73e",
    "random-weight 0.9 seed 0": "70d8e0ea08ba2946487e106253bfc2549ceebd98bf3e05c86df13c2ea9f17bde",
    "random-filter 0.5 seed 0": "f05bd04af7dd46d597cad0c7727d5ef79163473d1248eca157ddcfccf16eb210",
    "random-filter 0.9 seed 0": "32b8a467b0217229be27341e48d03f9bdc805c1aa2caa6fe9716ddd93fbb6cd5",
    "scratch 0.5 seed 0": "1c9b4277178b56c93430465ccc415039e895d1dfcf2e860b27e543a1b6968217",
    "scratch 0.9 seed 0": "8389a13d97028833c843c73bab8b9b084f11ed0062abec5099300307f3634a51",
    "dense seed 0 #1": "58b1316dd31d6d4338c9ad33239769fdc1878ce13cae88289b41aea8c9cd41e8",
    "dense seed 0 #2": "4d1d6637903f705a13614c7ec002401748ca8703b5f6b635554bb782345c9c23",
    "dense seed 0 #3": "11d7d3fbd5693903c1495aa1898877622688e8adb493a37960d4cbd3cf5c6373",
}


def test_digests_are_pinned() -> None:
    assert by_title(study()) == PINNED


def test_digests_do_not_depend_on_the_name_the_seeds_or_the_methods_beside() -> None:
    renamed = by_title(study(name="other"))
    assert renamed == PINNED
    more = by_title(study(seeds=[0, 7]))
    assert {title: more[title] for title in PINNED} == PINNED
    alone = by_title(study(methods={"slimming": {"sparsity_epochs": 3}}))
    assert alone.items() <= PINNED.items()


def test_values_at_their_defaults_may_be_written_or_left_out() -> None:
    written = settings_of(study())
    assert by_title(StudySpec.model_validate(written)) == PINNED


def test_a_new_option_with_a_default_leaves_every_digest_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NewTraining(TrainingSpec):
        warmup: int = 0

    class NewMethod(METHODS["magnitude"].options):  # type: ignore[name-defined,misc]
        temperature: float = 1.0

    changed_method = replace(METHODS["magnitude"], options=NewMethod)
    monkeypatch.setitem(METHODS._loaded, "magnitude", changed_method)

    class NewStudy(StudySpec):
        training: NewTraining = NewTraining()
        mood: str = "calm"

    values = study().model_dump(mode="json", exclude_unset=True)
    assert by_title(NewStudy.model_validate(values)) == PINNED
    warm = {**values, "training": {**values["training"], "warmup": 1}}
    assert changed(by_title(NewStudy.model_validate(warm)), PINNED) == set(PINNED)


POINTS = {title for title in PINNED if "base" not in title and "sparsity training" not in title}
BASES = {"dense base seed 0 #0"}
SLIMS = {"sparsity training seed 0"}


def of(*methods: str) -> set[str]:
    return {title for title in PINNED if title.split()[0] in methods and "base" not in title}


@pytest.mark.parametrize(
    ("changes", "affected"),
    [
        ({"training": {"base_epochs": 11, "retrain_epochs": 2}}, set(PINNED)),
        ({"training": {"base_epochs": 10, "retrain_epochs": 2, "batch_size": 64}}, set(PINNED)),
        # Several devices train other nets than one; with one of them it is as it always was.
        ({"training": {"base_epochs": 10, "retrain_epochs": 2, "devices": 2}}, set(PINNED)),
        ({"training": {"base_epochs": 10, "retrain_epochs": 2, "devices": 1}}, set()),
        ({"model": "lenet-5"}, set(PINNED)),
        ({"model": {"name": "conv4", "options": {"width": 2}}}, set(PINNED)),
        ({"data": "mnist"}, set(PINNED)),
        ({"data": {"name": "fashion-mini", "options": {"crop": 2}}}, set(PINNED)),
        # Retraining comes after the base net and after sparsity training.
        (
            {"training": {"base_epochs": 10, "retrain_epochs": 2, "retrain_learning_rate": 0.1}},
            POINTS,
        ),
        (
            {"training": {"base_epochs": 10, "retrain_epochs": 2, "sparse_retraining": True}},
            POINTS,
        ),
        (
            {"training": {"base_epochs": 10, "retrain_epochs": 2, "retrain_dropout": "scaled"}},
            POINTS,
        ),
        (
            {"methods": {**ALL, "slimming": {"sparsity_epochs": 3, "penalty": 0.5}}},
            SLIMS | of("slimming"),
        ),
        # scratch copies l1-filter, and so follows it.
        ({"methods": {**ALL, "l1-filter": {"ranking": "global"}}}, of("l1-filter", "scratch")),
        ({"methods": {**ALL, "combined": {"granularity": "filter"}}}, of("combined")),
        ({"methods": {**ALL, "magnitude": {"granularity": "4x4"}}}, of("magnitude")),
        ({"methods": {**ALL, "combined": {"allocation": "erk"}}}, of("combined")),
        ({"methods": {**ALL, "scratch": {"like": "combined"}}}, of("scratch")),
        # The first level starts from the base net under either schedule.
        (
            {"methods": {**ALL, "magnitude": {"schedule": "one-shot"}}},
            {"magnitude 0.9 seed 0"},
        ),
        # What is cut: of all methods that cut, or of one, whose own stands instead of the study's.
        ({"exclude": ["fc"]}, POINTS - of("dense")),
        ({"only": "Conv2d"}, POINTS - of("dense")),
        ({"max_sparsity": 0.95}, POINTS - of("dense")),
        ({"methods": {**ALL, "combined": {"exclude": ["fc"]}}}, of("combined")),
        (
            {"exclude": "fc", "methods": {**ALL, "combined": {"exclude": []}}},
            POINTS - of("dense", "combined"),
        ),
        ({"masks": "m.safetensors"}, POINTS - of("dense")),
        ({"methods": {**ALL, "combined": {"scores": "s.safetensors"}}}, of("combined")),
        # A control by other scores than its own would be none.
        (
            {"scores": "s.safetensors"},
            POINTS - of("dense", "random-weight", "random-filter"),
        ),
        # What is measured, too.
        ({"prunable": ["table"]}, set(PINNED)),
        # Unset in other words.
        ({"exclude": [], "only": [], "prunable": [], "max_sparsity": None}, set()),
    ],
)
def test_a_changed_value_changes_exactly_the_runs_downstream(
    changes: dict[str, Any], affected: set[str]
) -> None:
    assert changed(by_title(study(**changes)), PINNED) == affected


def test_a_changed_level_changes_what_is_chained_to_it_alone() -> None:
    moved = by_title(study(levels=[0.4, 0.9]))
    same = {title for title in PINNED if moved.get(title) == PINNED[title]}
    one_shot = {"l1-filter", "slimming", "combined", "random-filter", "scratch"}
    later = {f"{method} 0.9 seed 0" for method in one_shot}
    assert same == BASES | SLIMS | of("dense") | later


@pytest.mark.parametrize("source", ["data", "model"])
def test_other_data_or_other_code_changes_every_run(source: str) -> None:
    assert changed(by_title(study(), {**SOURCES, source: "x"}), PINNED) == set(PINNED)


@pytest.mark.parametrize(
    ("change", "prepares_anew"),
    [
        ({"scope": "all"}, True),
        ({"granularity": "filter"}, True),
        ({"exclude": ["conv1"]}, True),
        ({"penalty": 0.5}, True),
        ({"max_sparsity": 0.9}, False),
        ({"ranking": "layer"}, False),
    ],
)
def test_a_net_is_prepared_for_the_channels_that_may_go(
    change: dict[str, Any], prepares_anew: bool
) -> None:
    plain, other = (
        by_title(study(methods={"group-lasso": own}))
        for own in ({}, {"levels": [0.5, 0.9], **change})
    )
    points = {f"group-lasso {level} seed 0" for level in (0.5, 0.9)}
    anew = {"group sparsity training seed 0"} if prepares_anew else set()
    assert changed(plain, other) == points | anew
    # What slimming learns ranks whatever is cut: its net has no part in it.
    scales = [
        by_title(study(methods={"slimming": own}))["sparsity training seed 0"]
        for own in ({}, {"exclude": ["conv1"], "scope": "all"})
    ]
    assert scales[0] == scales[1]


def test_cuts_during_a_retraining_are_other_runs_and_so_are_other_cuts() -> None:
    plain = study(methods={"l1-filter": {}})
    during = [
        study(methods={"l1-filter": {"schedule": schedule, **more}})
        for schedule, own in (("gradual", {"cuts": 5}), ("growing", {"ceiling": 0.5}))
        for more in ({}, {"until": 0.5}, own)
    ]
    during.append(study(methods={"l1-filter": {"schedule": "growing", "choose_at": 0.01}}))
    named = [by_title(one) for one in (plain, *during)]
    assert len({tuple(one.values()) for one in named}) == 8
    for one in named[1:]:
        assert changed(one, named[0]) == {title for title in one if "l1-filter" in title}


def test_another_seed_changes_every_run() -> None:
    one, other = ({run.digest for run in plan(study(seeds=[seed]), SOURCES)} for seed in (0, 1))
    assert not one & other


def test_parents_stand_before_their_children_and_no_run_twice() -> None:
    runs = plan(study(seeds=3), SOURCES)
    seen: set[str] = set()
    for run in runs:
        assert set(run.parents.values()) <= seen
        assert run.digest not in seen
        seen.add(run.digest)
    assert len(runs) == 3 * len(PINNED)


# method, step: the run's own epochs, then base + sparsity + retraining up to its end.
BUDGETS = {
    ("dense", 0): (10, (10, 0, 0)),
    ("magnitude", 0): (2, (10, 0, 2)),
    ("magnitude", 1): (2, (10, 0, 4)),
    ("l1-filter", 0): (2, (10, 0, 2)),
    ("l1-filter", 1): (2, (10, 0, 2)),
    ("slimming", 0): (2, (10, 3, 2)),
    ("slimming", 1): (2, (10, 3, 2)),
    ("combined", 0): (2, (10, 0, 2)),
    ("combined", 1): (2, (10, 0, 2)),
    ("random-weight", 0): (2, (10, 0, 2)),
    ("random-weight", 1): (2, (10, 0, 4)),
    ("random-filter", 0): (2, (10, 0, 2)),
    ("random-filter", 1): (2, (10, 0, 2)),
    ("scratch", 0): (12, (0, 0, 12)),
    ("scratch", 1): (12, (0, 0, 12)),
    # Slimming's 15 epochs are the most of any point: 10 + 2 + 2 would be too few.
    ("dense", 1): (2, (10, 0, 2)),
    ("dense", 2): (2, (10, 0, 4)),
    ("dense", 3): (2, (10, 0, 6)),
}


def test_every_point_says_what_epochs_it_has_consumed() -> None:
    points = [run for run in plan(study(), SOURCES) if run.kind != "slim"]
    found = {(run.method, run.step): (run.epochs, tuple(run.spent.values())) for run in points}
    assert found == BUDGETS
    assert {tuple(run.spent) for run in points} == {("base", "sparsity", "retrain")}


def test_sparsity_training_is_one_run_for_all_levels_of_a_seed() -> None:
    runs = plan(study(seeds=2), SOURCES)
    slims = [run for run in runs if run.kind == "slim"]
    assert [(run.seed, run.epochs) for run in slims] == [(0, 3), (1, 3)]
    for run in runs:
        if run.method == "slimming" and run.kind == "point":
            assert run.parents["slim"] == slims[run.seed].digest


def test_scratch_gets_the_whole_budget_of_the_point_it_copies() -> None:
    for like, epochs in (("magnitude", (12, 14)), ("slimming", (15, 15))):
        methods = {"slimming": {"sparsity_epochs": 3}, "scratch": {"like": like}}
        runs = [run for run in plan(study(methods=methods), SOURCES) if run.method == "scratch"]
        assert tuple(run.epochs for run in runs) == epochs


def test_scratch_does_not_make_the_dense_net_train_for_longer() -> None:
    """Its budget holds no base epochs, which the dense net has had already."""
    methods = {"scratch": {}, "dense": {}}
    runs = plan(study(methods=methods), SOURCES)
    assert max(sum(run.spent.values()) for run in runs if run.method == "dense") == 12


def test_scratch_brings_the_method_that_it_copies() -> None:
    runs = plan(study(methods={"scratch": {}}), SOURCES)
    assert [run.method for run in runs] == ["dense", *["l1-filter"] * 2, *["scratch"] * 2]


def test_without_retraining_the_dense_net_is_its_base_alone() -> None:
    spec = study(training={"base_epochs": 10, "retrain_epochs": 0}, methods={"dense": {}})
    assert [run.kind for run in plan(spec, SOURCES)] == ["base"]


def test_combined_takes_two_sparsities() -> None:
    runs = plan(study(methods={"combined": {"levels": ["0.3/0.9", 0.5]}}), SOURCES)
    assert [run.level for run in runs[1:]] == [(0.3, 0.9), (0.5,)]
    assert runs[1].title == "combined 0.3/0.9 seed 0"


def test_titles_say_what_a_run_does() -> None:
    def run(kind: str, **values: Any) -> Run:
        fields = {"step": 0, "depth": 0, "parents": {}, "epochs": 0, "spent": {}, "digest": ""}
        return Run(kind=kind, seed=4, **{**fields, **values})  # type: ignore[arg-type]

    assert run("base", method="dense", level=()).title == "dense base seed 4"
    prepared = run("slim", method="slimming", level=(), preparing="sparsity training")
    assert prepared.title == "sparsity training seed 4"
    assert run("point", method="magnitude", level=(0.95,)).title == "magnitude 0.95 seed 4"


def test_a_table_is_a_level() -> None:
    tables = [{"a": 0.5, "b": 0.9}, {"b": 0.9, "a": 0.5}]
    found = [by_title(study(levels=[0.5, table]))["magnitude 0.5 seed 0"] for table in tables]
    assert set(found) == {PINNED["magnitude 0.5 seed 0"]}
    # The order counts: a layer may match both.
    one, other = (by_title(study(levels=[table])) for table in tables)
    assert one["magnitude a=0.5;b=0.9 seed 0"] != other["magnitude b=0.9;a=0.5 seed 0"]


def test_what_is_in_a_file_names_its_runs_and_not_its_path() -> None:
    def masked(path: str, content: str) -> set[str]:
        spec = study(masks=path)
        return {run.digest for run in plan(spec, SOURCES, codes={path: content})}

    assert masked("a", "1") == masked("b", "1")
    assert masked("a", "1") != masked("a", "2")


def test_points_whose_ranking_of_weights_was_not_heeded_are_others() -> None:
    """Version 0.1 ranked these weights globally all the same."""
    study = StudySpec.model_validate(
        {"levels": [0.5], "methods": {"magnitude": {"ranking": "layer"}}}
    )
    of_0_1 = "19ba5a2214b80b762a4c877f0f1c78fb6662e846e99cac130811fcc293a1417f"
    assert plan(study, {"data": "x"})[1].digest != of_0_1
    same = {"levels": [0.5], "methods": {"magnitude": {"ranking": "global"}}}
    of_0_1 = "c199a153677f7e589161b471e8e0a2a6416b2acc26ac436b8462ef75bdad55fd"
    assert plan(StudySpec.model_validate(same), {"data": "x"})[1].digest == of_0_1
