from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from pydantic import BaseModel

from secateur.errors import SpecError, UnknownNameError, UsageError
from secateur.pruning.methods.slimming import Options as SlimmingOptions
from secateur.registry import METHODS
from secateur.spec import MethodSpec, Named, StudySpec, check_study, chosen, digest, read_study
from secateur.training_settings import TrainingSpec
from secateur.tuning_settings import SearchSpec, TuneSpec

BASE: dict[str, Any] = {"methods": {"magnitude": {}}}


def study(**changes: Any) -> StudySpec:
    return check_study({**BASE, **changes}, "study.toml")


# Levels


BAD = [1, 1.0, 1.5, 90, -0.1, -1, float("nan"), float("inf"), -float("inf"), "", "half", "0.5/"]
BAD += ["nan", "50%", "0.5,0.6", "1", True, False, None, {}, [0.5, 1.0], ["x"]]  # type: ignore[list-item]


@pytest.mark.parametrize("value", BAD, ids=repr)
def test_a_bad_sparsity_in_a_study_is_placed(value: object) -> None:
    with pytest.raises(SpecError, match="a number from 0") as caught:
        study(levels=[0.5, value])
    assert caught.value.subject == "levels.1"
    with pytest.raises(SpecError, match="a number from 0") as caught:
        study(methods={"magnitude": {"levels": [value]}})
    assert caught.value.subject == "methods.magnitude.levels.0"


def test_levels_are_sorted_and_told_apart() -> None:
    assert study(levels=[0.9, 0.5, "0.9"]).levels == ((0.5,), (0.9,))
    own = study(methods={"magnitude": {"levels": "0.9,0.5"}, "dense": {}})
    assert own.levels_of("magnitude") == ((0.5,), (0.9,))
    assert own.levels_of("dense") == own.levels
    with pytest.raises(SpecError, match="expected each level once"):
        study(methods={"magnitude": {"levels": [0.5, "0.5"]}})


# Studies


def test_defaults_are_the_protocol_we_come_from() -> None:
    found = study()
    assert (found.model.name, found.data.name, found.seeds) == ("conv4", "fashion-mini", (0,))
    assert (found.training.base_epochs, found.training.retrain_epochs) == (50, 25)
    assert found.methods == {"magnitude": MethodSpec()}


def test_names_with_options() -> None:
    found = study(data={"name": "shapes", "options": {"train": 10}}, model="lenet-5")
    assert found.data == Named(name="shapes", options={"train": 10})
    assert found.model == Named(name="lenet-5")
    assert study(model="package.module:function").model.name == "package.module:function"


@pytest.mark.parametrize(("given", "seeds"), [(1, (0,)), (3, (0, 1, 2)), ([4, 2], (4, 2))])
def test_seeds_are_a_number_or_a_list(given: object, seeds: tuple[int, ...]) -> None:
    assert study(seeds=given).seeds == seeds


@pytest.mark.parametrize(
    "given", [0, -1, [], [1, 1], [-1], ["a"], 1.5, 1_000_000_000, 10**400, [1 << 63], range(10**5)]
)
def test_bad_seeds(given: object) -> None:
    with pytest.raises(SpecError) as caught:
        study(seeds=given)
    assert caught.value.subject.startswith("seeds")


@pytest.mark.parametrize(
    ("changes", "kind", "near"),
    [
        ({"model": "conv5"}, "model", "conv4"),
        ({"data": "fashionmini"}, "data set", "fashion-mini"),
        ({"methods": {"magnitud": {}}}, "method", "magnitude"),
        ({"methods": {"scratch": {"like": "l1filter"}}}, "method", "l1-filter"),
        ({"modle": "conv4"}, "setting of a study", "model"),
        ({"training": {"base_epoch": 3}}, "setting of [training]", "base_epochs"),
        (
            {"methods": {"magnitude": {"level": [0.5]}}},
            "setting of [methods.magnitude]",
            "levels",
        ),
        ({"data": {"name": "shapes", "option": {}}}, "setting of [data]", "options"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(
    changes: dict[str, Any], kind: str, near: str
) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'") as caught:
        study(**changes)
    assert caught.value.operation == f"looking up a {kind}"


@pytest.mark.parametrize(
    ("training", "subject"),
    [
        ({"batch_size": 0}, "training.batch_size"),
        ({"base_epochs": -1}, "training.base_epochs"),
        ({"base_epochs": "many"}, "training.base_epochs"),
        ({"learning_rate": 0}, "training.learning_rate"),
        ({"learning_rate": float("nan")}, "training.learning_rate"),
        ({"learning_rate": float("inf")}, "training.learning_rate"),
        ({"momentum": 1}, "training.momentum"),
        ({"optimizer": "lion"}, "training.optimizer"),
        ({"precision": "8"}, "training.precision"),
        ({"clip_norm": 0}, "training.clip_norm"),
        ({"accumulate": 0}, "training.accumulate"),
        ({"base_epochs": 99999999999999999999}, "training.base_epochs"),
        ({"retrain_epochs": 10**400}, "training.retrain_epochs"),
        ({"batch_size": 1 << 40}, "training.batch_size"),
        ({"learning_rate": 10**400}, "training.learning_rate"),
    ],
)
def test_a_setting_out_of_range_is_named(training: dict[str, Any], subject: str) -> None:
    with pytest.raises(SpecError) as caught:
        study(training=training)
    assert caught.value.subject == subject
    assert caught.value.operation == "reading study.toml"
    assert "\n" not in str(caught.value)


def test_a_study_needs_a_method_and_a_plain_name() -> None:
    with pytest.raises(SpecError) as caught:
        study(methods={})
    assert caught.value.subject == "methods"
    for name in ("", "../up", "a b", "x" * 65):
        with pytest.raises(SpecError) as caught:
            study(name=name)
        assert caught.value.subject == "name"


def test_a_long_value_is_cut_short() -> None:
    with pytest.raises(SpecError) as caught:
        study(name="/" * 1000)
    assert len(caught.value.given) == 60
    assert caught.value.given.endswith("...")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        study().name = "other"  # type: ignore[misc]


def test_a_study_of_more_points_than_can_be_is_refused_before_it_is_planned() -> None:
    levels = [number / 2000 for number in range(1000)]
    with pytest.raises(SpecError, match="at most 1,000,000 points in all"):
        study(seeds=2000, levels=levels)
    assert len(study(seeds=900, levels=levels).seeds) == 900


def test_a_home_of_nobody_is_no_home(tmp_path: Path) -> None:
    text = '[base]\ncheckpoint = "~no-such-user/x.pt"\n[methods.magnitude]\n'
    found = read_study(written(tmp_path, text))
    assert found.base.checkpoint == str(tmp_path / "~no-such-user/x.pt")


# Files


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "study.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    text = 'name = "mine"\nseeds = 2\n[methods.magnitude]\nlevels = [0.5]\n'
    found = read_study(written(tmp_path, text))
    assert (found.name, found.seeds) == ("mine", (0, 1))
    assert found.levels_of("magnitude") == ((0.5,),)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("name = mine\n", 1, 8),
        ('name = "a"\nseeds = [1, 2\n[methods]\n', 3, 1),
        ('name = "a"\n\n  model "conv4"\n', 3, 9),
        ('name = "a"\nname = "b"\n', 2, 11),
    ],
)
def test_damaged_toml_says_line_and_column(
    text: str, line: int, column: int, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpecError, match=rf"\(at line {line}, column {column}\)") as caught:
        read_study(path)
    assert caught.value.subject == str(path)
    assert "\n" not in str(caught.value)


def test_toml_that_ends_too_early_says_so(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"damaged TOML .*at end of document"):
        read_study(written(tmp_path, 'name = "mine'))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        read_study(tmp_path / "none.toml")
    with pytest.raises(SpecError, match="Is a directory"):
        read_study(tmp_path)
    with pytest.raises(SpecError, match="a TOML file in UTF-8"):
        read_study(written(tmp_path, b'name = "\xff"\n'))


def test_a_wrong_value_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "[methods.magnitude]\nlevels = [1.0]\n")
    with pytest.raises(SpecError, match="from 0 up to, but not including, 1") as caught:
        read_study(path)
    assert caught.value.operation == f"reading {path}"


# Digests


def test_digests_are_of_canonical_json() -> None:
    assert digest({"b": 2, "a": [1, None]}) == digest({"a": [1, None], "b": 2})
    assert digest({"a": 1}) != digest({"a": 1.0}) != digest({"a": "1"})
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest({"a": float("nan")})


# What is chosen, and so digested, of some settings. A new option with its default must leave
# every line as it is; so must a new default, which would rename the runs of old studies.
PINNED: list[tuple[BaseModel, dict[str, Any], str]] = [
    (TrainingSpec(), {}, "44136fa3"),
    (
        TrainingSpec(base_epochs=50, batch_size=32, optimizer="adam", learning_rate=1e-3),
        {},
        "44136fa3",
    ),
    (
        TrainingSpec(base_epochs=3, optimizer="sgd"),
        {"base_epochs": 3, "optimizer": "sgd"},
        "2657a12f",
    ),
    (
        TrainingSpec(weight_decay=0.01, clip_norm=1, schedule="cosine", precision="bf16"),
        {"weight_decay": 0.01, "clip_norm": 1.0, "schedule": "cosine", "precision": "bf16"},
        "f7f1bcc3",
    ),
    (MethodSpec(), {}, "44136fa3"),
    (MethodSpec(levels=(0.9, "0.3/0.5")), {"levels": [[0.3, 0.5], [0.9]]}, "006803be"),  # type: ignore[arg-type]
    (
        SlimmingOptions(sparsity_epochs=10, penalty=1e-3),
        {},
        "44136fa3",
    ),
    (
        SlimmingOptions(sparsity_epochs=5, ranking="global"),
        {"sparsity_epochs": 5, "ranking": "global"},
        "114ea7b2",
    ),
    (
        Named(name="shapes", options={"train": 10}),
        {"name": "shapes", "options": {"train": 10}},
        "c267627f",
    ),
    (MethodSpec(allocation="erk"), {"allocation": "erk"}, "c3d567df"),
    (Named(name="conv4"), {"name": "conv4"}, "bfbce166"),
]


@pytest.mark.parametrize(("settings", "values", "start"), PINNED)
def test_what_is_chosen_is_pinned(settings: BaseModel, values: dict[str, Any], start: str) -> None:
    assert chosen(settings) == values
    assert digest(chosen(settings))[:8] == start


def test_no_default_has_changed() -> None:
    before = {
        "base_epochs": 50,
        "retrain_epochs": 25,
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "retrain_learning_rate": None,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "schedule": "constant",
        "clip_norm": None,
        "accumulate": 1,
        "precision": "auto",
    }
    assert before.items() <= TrainingSpec().model_dump().items()
    before = {
        "levels": (),
        "schedule": None,
        "ranking": None,
        "granularity": None,
    }
    assert before.items() <= MethodSpec().model_dump().items()
    own = {"sparsity_epochs": 10, "penalty": 1e-3}
    assert own.items() <= SlimmingOptions().model_dump().items()
    assert METHODS["scratch"].options().like == "l1-filter"


def test_only_some_settings_may_be_chosen() -> None:
    settings = TrainingSpec(base_epochs=3, batch_size=64)
    assert chosen(settings, {"batch_size", "momentum"}) == {"batch_size": 64}


@pytest.mark.parametrize(
    "kind", [TrainingSpec, *dict.fromkeys(m.options for m in METHODS.values())]
)
def test_every_option_has_a_default(kind: type[BaseModel]) -> None:
    assert not any(field.is_required() for field in kind.model_fields.values())


# --- numbers of other libraries ------------------------------------------------------------


def checked(**values: Any) -> StudySpec:
    return check_study({"methods": {"magnitude": {}}, **values}, "x")


@pytest.mark.parametrize(
    "levels",
    [
        numpy.array([0.5, 0.9]),
        numpy.array([0.5, 0.9], "float32"),
        [numpy.float16(0.5), numpy.float32(0.9)],
        torch.tensor([0.5, 0.9]),
        [torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(0.9)],
        (0.5, numpy.float64(0.9)),
    ],
    ids=str,
)
def test_numbers_of_other_libraries_are_the_decimals_that_were_written(levels: Any) -> None:
    assert checked(levels=levels) == checked(levels=[0.5, 0.9])


def test_counts_of_other_libraries_are_counts() -> None:
    assert checked(seeds=numpy.int64(2)).seeds == (0, 1)
    assert checked(seeds=torch.arange(3)).seeds == (0, 1, 2)
    rate = {"learning_rate": numpy.float32(1e-3), "base_epochs": torch.tensor(3)}
    assert checked(training=rate).training == TrainingSpec(base_epochs=3)


def test_layers_are_chosen_for_all_methods_or_one() -> None:
    found = checked(
        exclude="fc",
        only=[torch.nn.Conv2d, "conv2", "conv1"],
        prunable="table",
        max_sparsity=1,
        methods={"magnitude": {"exclude": [], "max_sparsity": {"conv1": 0.5, "*": 0.9}}},
    )
    assert (found.exclude, found.prunable) == (("fc",), ("table",))
    assert found.only == ("Conv2d", "conv1", "conv2")
    assert found.max_sparsity == (("*", 1.0),)
    assert found.methods["magnitude"].exclude == ()
    assert found.methods["magnitude"].max_sparsity == (("conv1", 0.5), ("*", 0.9))


def test_a_study_of_tables_comes_back_from_json() -> None:
    table = {"features.*": 0.5, "fc": 0.9}
    found = checked(levels=[0.95, table, 0.5], max_sparsity=table, only=["fc", "features.*"])
    assert found.levels == ((0.5,), (tuple(table.items()),), (0.95,))
    assert StudySpec.model_validate_json(found.model_dump_json()) == found
    assert checked(levels=table).levels == (found.levels[1],)
    assert checked(methods={"magnitude": {"levels": table}}).methods["magnitude"].levels == (
        found.levels[1],
    )


@pytest.mark.parametrize(
    "values",
    [
        {"exclude": 3},
        {"exclude": ["a b"]},
        {"only": [""]},
        {"prunable": {"a": 0.5}},
        {"max_sparsity": 1.1},
        {"max_sparsity": {}},
        {"max_sparsity": {"conv1": -0.1}},
        {"max_sparsity": [["conv1", 0.5], ["conv1", 0.6]]},
        {"levels": [{"conv1": 1.0}]},
        {"levels": [{"a;b": 0.5}]},
    ],
    ids=repr,
)
def test_a_choice_of_layers_that_is_none(values: dict[str, Any]) -> None:
    for whole in (values, {"methods": {"magnitude": values}}):
        with pytest.raises(UsageError) as caught:
            checked(**whole)
        assert next(iter(values)) in str(caught.value)


@pytest.mark.parametrize(("word", "meant"), [("skip", "exclude"), ("layers", "only")])
def test_what_others_call_a_choice_of_layers(word: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{meant}'"):
        checked(methods={"magnitude": {word: ["conv1"]}})


@pytest.mark.parametrize(
    ("values", "nearest"),
    [
        ({"training": {"optimizer": "adm"}}, "adam"),
        ({"training": {"base_epoch": 1}}, "base_epochs"),
        ({"methods": {"magnitude": {"schedule": "oneshot"}}}, "one-shot"),
        ({"methods": {"magnitude": {"ranking": "globl"}}}, "global"),
        ({"methods": {"magnitude": {"allocation": "ekr"}}}, "erk"),
    ],
)
def test_an_unknown_word_suggests_the_nearest(values: dict[str, Any], nearest: str) -> None:
    with pytest.raises(UsageError, match=f"Did you mean '{nearest}'"):
        checked(**values)


@pytest.mark.parametrize("levels", [[[]], [1], [float("nan")], ["a"], [1j], 7, None])
def test_levels_that_are_none(levels: Any) -> None:
    with pytest.raises(SpecError):
        checked(levels=levels)


@pytest.mark.parametrize("named", ["weights.pt", "deep/weights.pt", "/absolute.pt", "~/mine.pt"])
def test_a_checkpoint_lies_beside_the_file_that_names_it(named: str, tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(f'[base]\ncheckpoint = "{named}"\n[methods.magnitude]\n')
    found = Path(read_study(path).base.checkpoint)
    assert found == tmp_path / Path(named).expanduser()
    assert found.is_absolute()


def test_a_file_without_a_version_means_what_it_always_meant() -> None:
    assert (study().version, study().protected) == (1, 0.0)
    assert study(version=1) == study(version=1, protected=0.0)
    assert chosen(study(), {"protected", "version"}) == {}


def test_a_version_sets_what_is_not_set() -> None:
    training = study(version=2).training
    assert study(version=2).protected == 0.1
    assert (training.schedule, training.retrain_schedule) == ("constant", "one-cycle")
    assert (training.retrain_dropout, training.repair) == ("scaled", ("least-squares",))
    assert (training.learning_rate, training.retrain_learning_rate) == (0.001, 0.003)
    assert study(version=2).max_sparsity == ((":last", 0.8),)
    assert study(version=2, protected=0.25).protected == 0.25
    assert study(version=2, max_sparsity=1).max_sparsity == (("*", 1.0),)
    linear = study(version=2, training={"schedule": "linear"}).training
    assert (linear.schedule, linear.retrain_dropout) == ("linear", "scaled")
    own = TrainingSpec(base_epochs=3)
    assert study(version=2, training=own).training == training.model_copy(update={"base_epochs": 3})
    # What a store writes, defaults included, reads as the same study.
    for spec in (study(version=2), study(version=2, protected=0)):
        assert check_study(spec.model_dump(mode="json"), "a store") == spec


def test_a_version_leaves_the_rate_of_sgd_alone() -> None:
    for training in ({"optimizer": "sgd"}, TrainingSpec(optimizer="sgd")):
        found = study(version=2, training=training).training
        assert (found.retrain_learning_rate, found.retrain_schedule) == (None, "one-cycle")
    own = {"optimizer": "sgd", "learning_rate": 0.1, "retrain_learning_rate": "0.5x"}
    assert study(version=2, training=own).training.retrain_learning_rate == 0.05


@pytest.mark.parametrize("version", [0, 3, "2", None, 1.5])
def test_a_version_that_is_none(version: object) -> None:
    with pytest.raises(SpecError, match="version is"):
        study(version=version)


@pytest.mark.parametrize(
    ("values", "table", "home"),
    [
        (
            {"methods": {"magnitude": {"sparsity_epochs": 3}}},
            "methods.magnitude",
            "methods.slimming",
        ),
        ({"methods": {"dense": {"like": "magnitude"}}}, "methods.dense", "methods.scratch"),
        ({"base_epochs": 3, "methods": {"dense": {}}}, "a study", "training"),
        ({"training": {"until": 0.5}, "methods": {"dense": {}}}, "training", "methods.NAME"),
        ({"training": {"checkpoint": "x"}, "methods": {"dense": {}}}, "training", "base"),
        ({"training": {"seeds": 3}, "methods": {"dense": {}}}, "training", "above all tables"),
    ],
)
def test_an_unknown_key_names_its_table_and_the_one_that_has_it(
    values: dict[str, Any], table: str, home: str
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        checked(**values)
    assert table in caught.value.subject
    assert home in caught.value.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"seeds": 0},
        {"seeds": True},
        {"seeds": [-1]},
        {"seeds": []},
        {"seeds": [1, 1]},
        {"methods": {"magnitude": {"levels": [0.5, 0.5]}}},
    ],
)
def test_what_is_expected_is_a_thing_and_no_command(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        checked(**values)
    assert caught.value.expected.startswith(("a ", "each "))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "written"), [("model", "mynets.build"), ("data", "mydata/data"), ("data", "mydata.py")]
)
def test_a_path_that_is_nearly_one_is_told_as_it_should_be(kind: str, written: str) -> None:
    meant = {"mynets.build": "mynets:build"}.get(written, "mydata:data")
    with pytest.raises(UnknownNameError, match=f"package.module:function, as in {meant}"):
        checked(**{kind: written})


@pytest.mark.parametrize(("kind", "name"), [("model", "mynets"), ("data", "mydata")])
def test_a_module_without_its_function_is_told_how_it_is_written(kind: str, name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"package.module:function, as in {name}:"):
        checked(**{kind: name})


HUGE = 10**400
"""What TOML lets stand, and no float of any machine can be."""


@pytest.mark.parametrize("kind", [StudySpec, TrainingSpec, MethodSpec, TuneSpec, SearchSpec])
def test_a_number_of_hundreds_of_digits_is_no_crash_wherever_it_stands(
    kind: type[BaseModel],
) -> None:
    tables: dict[type[BaseModel], Callable[[dict[str, Any]], dict[str, Any]]] = {
        StudySpec: lambda one: {"methods": {"magnitude": {}}, **one},
        TrainingSpec: lambda one: {"methods": {"magnitude": {}}, "training": one},
        MethodSpec: lambda one: {"methods": {"magnitude": one}},
        TuneSpec: lambda one: {"methods": {"magnitude": {}}, "tune": one},
        SearchSpec: lambda one: {
            "methods": {"magnitude": {}},
            "tune": {"space": {"learning_rate": {"low": 0, "high": 1, **one}}},
        },
    }
    for setting in kind.model_fields:
        for value in (HUGE, -HUGE, [HUGE], {"a": HUGE}, {"macs": HUGE}):
            with contextlib.suppress(UsageError):
                check_study(tables[kind]({setting: value}), "study.toml")
    with pytest.raises(SpecError, match=r"levels\.0 is"):
        study(levels=HUGE)
