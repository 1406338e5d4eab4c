"""What happens to a net of a study between its cut and its retraining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.errors import SpecError, StoreError, UnknownNameError
from secateur.point import Point, Score
from secateur.pruning.densities import Density
from secateur.pruning.mended import Mended
from secateur.pruning.repair import Calibration, Repair
from secateur.registry import ALLOCATIONS, METHODS, REPAIRS
from secateur.spec import StudySpec
from secateur.study.before_training import repair_cut, score_before
from secateur.study.checkpoint import load_checkpoint
from secateur.study.decoding import decode_point
from secateur.study.folder import checkpoint_name
from secateur.study.job import Job, Setup
from secateur.study.method_code import method_codes
from secateur.study.metrics import axis
from secateur.study.plan import Run, plan
from secateur.study.run import perform

from .small_nets import two_norms

SETTINGS: dict[str, Any] = {
    "levels": [0.5],
    "training": {"base_epochs": 1, "retrain_epochs": 1, "batch_size": 16},
    "methods": {"l1-filter": {}, "scratch": {"like": "l1-filter"}, "dense": {}},
}


@pytest.fixture(scope="module")
def data() -> ImageData:
    return shapes(train=64, val=20, test=20, size=8)


def spec(repair: object = None, **training: Any) -> StudySpec:
    own = {} if repair is None else {"repair": repair}
    return StudySpec.model_validate(
        {**SETTINGS, "training": {**SETTINGS["training"], **training, **own}}
    )


def runs_of(study: StudySpec, codes: Mapping[str, str] | None = None) -> dict[str, Run]:
    return {f"{run.method} {run.step}": run for run in plan(study, {"data": "d"}, codes=codes)}


def performed(study: StudySpec, folder: Path, data: ImageData) -> dict[str, Point]:
    (folder / "points").mkdir(parents=True)
    found = {}
    for run in plan(study, {"data": data.fingerprint()}):
        job = Job(run, Setup(study, folder, two_norms, data))
        found[f"{run.method} {run.step}"] = Point.from_dict(perform(job)["point"])
    return found


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory, data: ImageData) -> dict[str, Point]:
    return performed(spec(list(REPAIRS)), tmp_path_factory.mktemp("repaired") / "run", data)


def test_every_point_knows_its_quality_before_retraining(points: dict[str, Point]) -> None:
    for point in points.values():
        assert point.before is not None
        (before,) = point.before
        assert (before.name, before.total) == ("before_accuracy", 20)
        row = axis("before_accuracy", [point])
        assert (row.label, row.higher, row.chooses) == (
            "validation accuracy before retraining",
            True,
            True,
        )
        assert row.value(point) == before.exact
    assert points["dense 0"].before == (replace(points["dense 0"].val, split="before"),)
    # Trained on, the dense net starts from what the base run ended with.
    assert points["dense 1"].before == points["dense 0"].before


def test_a_point_of_an_older_store_has_none_and_a_false_one_is_refused(
    points: dict[str, Point],
) -> None:
    import json

    values = points["l1-filter 0"].to_dict()
    digest = str(values["digest"])

    def read(**changes: Any) -> Point:
        text = json.dumps({"point": {**values, **changes}})
        return decode_point(digest, text, None, "points/x.safetensors")

    assert read().before == points["l1-filter 0"].before
    old = {name: value for name, value in values.items() if name != "before"}
    text = json.dumps({"point": old})
    assert decode_point(digest, text, None, "points/x.safetensors").before is None
    with pytest.raises(StoreError, match="of another split"):
        read(before=[{**values["scores"][0], "metric": "other"}])
    with pytest.raises(StoreError, match="score that is none"):
        read(before=[{**values["before"][0], "value": 2.0}])


def test_passes_are_counted_in_the_budget(points: dict[str, Point]) -> None:
    assert [points[name].epochs.statistics for name in ("l1-filter 0", "scratch 0")] == [4, 0]
    assert points["dense 1"].epochs.statistics == 0
    # Whoever is trained from scratch gets them as epochs.
    assert points["scratch 0"].epochs.cumulative == points["l1-filter 0"].epochs.cumulative == 6


def test_only_points_that_are_cut_have_other_names() -> None:
    plain, repaired = runs_of(spec()), runs_of(spec(["batch-norm"]))
    names = {name for name, run in plain.items() if run.digest != repaired[name].digest}
    assert names == {"l1-filter 0", "scratch 0"}
    assert runs_of(spec([])) == plain


def test_order_and_form_of_the_setting_mean_nothing() -> None:
    kinds = list(REPAIRS)
    assert spec(kinds[::-1]).training.repair == tuple(kinds)
    assert spec("batch-norm").training.repair == ("batch-norm",)
    assert spec(["batch-norm", "batch-norm"]).training.repair == ("batch-norm",)
    with pytest.raises(UnknownNameError, match="Did you mean 'batch-norm'"):
        spec(["batchnorm"])


def test_a_repair_that_rewinding_would_take_back_is_refused() -> None:
    with pytest.raises(SpecError, match="rewind-weights', which takes back what was mended"):
        runs_of(spec(["batch-norm"], retrain="rewind-weights", rewind_epoch=1))


def test_what_is_repaired_depends_on_the_run_alone(data: ImageData, tmp_path: Path) -> None:
    study = spec(["least-squares", "batch-norm"], retrain_epochs=0)
    first, again = (performed(study, tmp_path / name, data) for name in "ab")
    for name in "ab":
        for point in first.values():
            assert (tmp_path / name / checkpoint_name(point.digest)).is_file()
    for name, point in first.items():
        assert point.before == again[name].before
        files = [
            (tmp_path / folder / checkpoint_name(point.digest)).read_bytes() for folder in "ab"
        ]
        assert files[0] == files[1]
    cut = first["l1-filter 0"]
    assert cut.before is not None
    # With no retraining at all, what was scored before is what is scored after.
    assert cut.before[0].part == cut.val.part
    state, masks = load_checkpoint(tmp_path / "a" / checkpoint_name(cut.digest))
    assert masks
    assert all(not bool(state[name][~mask].any()) for name, mask in masks.items())
    base = load_checkpoint(tmp_path / "a" / checkpoint_name(first["dense 0"].digest))[0]
    assert not torch.equal(state["4.running_mean"], base["4.running_mean"])


def _nothing(calibration: Calibration) -> Mended:
    for _ in calibration.batches():
        pass
    return Mended("mine")


def test_the_code_of_a_kind_of_ones_own_names_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REPAIRS, "_own", {"mine": Repair("Nothing.", "me", _nothing)})
    codes = method_codes(spec(["mine"]))
    assert set(codes) == {"l1-filter"}
    assert method_codes(spec(["batch-norm"])) == {}
    plain, named = runs_of(spec(["mine"])), runs_of(spec(["mine"]), codes)
    assert plain["l1-filter 0"].digest != named["l1-filter 0"].digest
    assert METHODS.origin("l1-filter") == "secateur"


def _by_name(layers: Any, density: Any, statistics: Any) -> list[Density]:
    del density, statistics
    return [Density(len(layer.name)) for layer in layers]


def test_the_code_of_an_allocation_of_ones_own_names_the_runs() -> None:
    ALLOCATIONS.add("by-name", _by_name)
    methods: dict[str, Any] = {
        "magnitude": {"allocation": "by-name"},
        "wanda": {"allocation": "erk"},
    }
    assert set(method_codes(StudySpec.model_validate({"methods": methods}))) == {"magnitude"}


def test_a_net_that_cannot_be_scored_is_retrained_all_the_same(
    data: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = spec()
    run = runs_of(study)["l1-filter 0"]
    job = Job(run, Setup(study, tmp_path, two_norms, data))

    class Broken:
        def score(self, *_: object) -> tuple[Score, ...]:
            raise ZeroDivisionError

    monkeypatch.setattr(Setup, "loop", lambda _: Broken())
    assert score_before(nn.Linear(1, 1), job, data) == ()


def test_nothing_is_repaired_where_nothing_was_cut(data: ImageData, tmp_path: Path) -> None:
    from secateur.pruning.masks import Masks

    study = spec(["batch-norm"])
    model = two_norms((3, 8, 8), 5)
    job = Job(runs_of(study)["l1-filter 0"], Setup(study, tmp_path, two_norms, data))
    repair_cut(model, Masks({}), job, data)
    assert int(model[1].num_batches_tracked) == 0  # type: ignore[index, arg-type]
