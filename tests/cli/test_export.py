"""`secateur export`: every point of a study, in every kind of file."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

import secateur.cli.bench
import secateur.cli.export
import secateur.cli.inspect  # noqa: F401
from secateur import models
from secateur.artifact.export import session
from secateur.artifact.inspect import inspect
from secateur.artifact.load import load, load_state_dict
from secateur.cli.app import app
from secateur.errors import SecateurError, StoreError, UsageError
from secateur.foundation.level import Levels
from secateur.point import Point
from secateur.study.checkpoint import load_checkpoint
from secateur.study.export import _file_name, make_folder
from secateur.study.point_names import chosen_point
from secateur.study.store import Store

SHAPE, CLASSES = (3, 12, 12), 5
OWN = ("--model", "tiny:net")


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture
def run(undisturbed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(undisturbed.folder)
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    return undisturbed.folder / "run"


def build() -> torch.nn.Module:
    return models.build("tiny:net", SHAPE, CLASSES)


def test_every_point_comes_back_as_the_function_that_was_measured(
    run: Path, tmp_path: Path
) -> None:
    store = Store(run)
    inputs = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    for point in store.points():
        path = tmp_path / "net.safetensors"
        invoke("export", run, *OWN, "--point", point.digest, "--out", path)
        loaded = load(path, build)
        dense = build()
        dense.load_state_dict(load_checkpoint(store.checkpoint(point.digest))[0])
        difference = (loaded(inputs) - dense.eval()(inputs)).abs().max()
        assert difference < 1e-5, point.method
        totals = inspect(path).totals()
        assert totals["parameters"] == point.compact_parameters
        assert totals["macs"] == point.macs
        assert inspect(path).origin["run"]["digest"] == point.digest
        assert inspect(path).origin["metrics"]["val"] == {
            "part": point.val.part,
            "total": point.val.total,
        }


@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_other_targets_run_without_secateur(run: Path, to: str) -> None:
    said = invoke("export", run, *OWN, "--point", "l1-filter:0.7:0", "--to", to)
    path = run / "exports" / f"l1-filter-0.7-0.{to}"
    assert str(path) in said
    invoke("export", run, *OWN, "--point", "l1-filter:0.7:0")
    inputs = torch.rand(7, *SHAPE)
    expected = load(path.with_suffix(".safetensors"), build)(inputs)
    if to == "onnx":
        given = torch.from_numpy(session(path).run(None, {"input": inputs.numpy()})[0])
    else:
        given = torch.export.load(path).module()(inputs)
    assert torch.allclose(given, expected, atol=1e-5, rtol=0)


def test_a_compact_file_has_the_plain_tensors_of_a_smaller_net(run: Path) -> None:
    invoke("export", run, *OWN, "--point", "l1-filter:0.7:0")
    state = load_state_dict(run / "exports" / "l1-filter-0.7-0.safetensors")
    full = build().state_dict()
    assert state.keys() == full.keys()
    assert state["0.weight"].shape[0] < full["0.weight"].shape[0]


def test_two_parts_of_a_level_name_a_file_without_a_slash(run: Path) -> None:
    invoke("export", run, *OWN, "--point", "combined:0.4:0")
    assert list((run / "exports").glob("combined-0.4*.safetensors"))


def test_a_point_is_found_by_name_and_by_the_start_of_its_digest(run: Path) -> None:
    points = Store(run).points()
    point = chosen_point(points, "magnitude:0.4:0", run)
    assert chosen_point(points, point.digest[:10], run) == point
    said = invoke("export", run, *OWN, "--point", "magnitude:.4", "--out", run / "a.safetensors")
    assert said.startswith("magnitude 0.4 seed 0: ")


def test_a_point_that_is_ambiguous_is_accepted_as_it_is_listed(run: Path) -> None:
    with pytest.raises(UsageError, match=r"means \d points") as refused:
        invoke("export", run, *OWN, "--point", "dense")
    for name in refused.value.expected.removeprefix("one of ").split(", "):
        assert "dense - seed 0" in invoke("export", run, *OWN, "--point", name)


def test_the_pick_is_exported_under_the_bounds_of_frontier(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nets that trained for one epoch may do no better than a guess: here that is no matter.
    monkeypatch.setattr(Point, "collapsed", None)
    bounds = ("--at-least", "val_accuracy=0", "--at-most", "sparsity=0.5")
    listed = json.loads(CliRunner().invoke(app, ["frontier", str(run), *bounds, "--json"]).stdout)
    (shipped,) = [one for one in listed if one["shipped"]]
    assert shipped["picked"]
    path = tmp_path / "small.safetensors"
    said = invoke("export", run, *OWN, *bounds, "--out", path)
    assert said.startswith("Pick for ")
    assert inspect(path).origin["run"]["digest"] == shipped["digest"]
    for floor in (("--min-quality", "0"), ("--min-accuracy", "0"), ("--within", "1")):
        assert str(path) in invoke("export", run, *OWN, *floor, "--out", path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "what to export is not said"),
        (("--within", "0.1", "--point", "dense"), "said twice"),
        (("--min-accuracy", "1"), "the pick is none: "),
        (("--point", "dense", "--to", "onnx", "--out", "net.pt2"), "a name for pt2"),
        (("--within", "0.1", "--out", "net.pth"), r"ends in \.pth"),
    ],
)
def test_what_cannot_be_exported_is_refused(run: Path, options: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        invoke("export", run, *OWN, *options)


def test_neither_the_data_nor_the_folder_of_the_sweep_are_needed(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = run.parent / "tiny.toml"
    path = tmp_path / "net.safetensors"
    said = invoke("export", run, "--study", study, "--point", "magnitude:0.4", "--out", path)
    assert str(path) in said


def test_data_given_in_python_are_not_needed(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Store.settings.fget(Store(run))  # type: ignore[attr-defined]
    given = {**held, "data": {"name": "given", "options": {}}}
    monkeypatch.setattr(Store, "settings", property(lambda _: given))
    assert "bytes" in invoke("export", run, *OWN, "--point", "magnitude:0.4:0")


def test_a_study_file_of_another_net_says_what_differs(run: Path) -> None:
    text = (run.parent / "tiny.toml").read_text()
    other = run.parent / "other.toml"
    other.write_text(text.replace('"tiny:net"', '{ name = "tiny:net", options = { width = 8 } }'))
    with pytest.raises(UsageError, match="with width = 8, expected one of 'tiny:net' without wid"):
        invoke("export", run, "--study", other, "--point", "magnitude:0.4")


def test_a_run_folder_that_cannot_be_written_names_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"not writable \(Read-only file system\).*--out"):
        make_folder(tmp_path / "exports")


def test_a_failing_export_leaves_no_file(
    make_bench: Callable[..., SimpleNamespace], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UsageError("a", "b", given="c", expected="d", remedy="e")

    monkeypatch.setattr("secateur.artifact.export._check_equal", fail)
    target = run / "exports" / "never.onnx"
    with pytest.raises(SecateurError):
        invoke("export", run, *OWN, "--point", "magnitude:0.4:0", "--to", "onnx", "--out", target)
    assert not list(target.parent.glob("*never*"))


@pytest.mark.parametrize(
    ("level", "name"),
    [
        ((), "magnitude-0"),
        ((0.5,), "magnitude-0.5-0"),
        ((0.5, 0.9), "magnitude-0.5+0.9-0"),
        (((("conv*", 0.5), ("fc", 0.9)),), "magnitude-conv-0.5-fc-0.9-0-aaaaaaaa"),
        ((0.5, (("a?", 0.9),)), "magnitude-0.5+a-0.9-0-aaaaaaaa"),
    ],
)
def test_a_level_in_a_file_name(run: Path, level: Levels, name: str) -> None:
    point = Store(run).points()[0]
    assert _file_name(replace(point, method="magnitude", level=level, digest="a" * 64)) == name


def test_int8_is_told_beside_float32(run: Path) -> None:
    own = ("--study", run.parent / "tiny.toml", "--point", "magnitude:0.7:0")
    said = invoke("export", run, *own, "--int8", "--no-timing")
    path = run / "exports" / "magnitude-0.7-0-int8.onnx"
    assert str(path) in said
    assert "validation accuracy" in said
    assert f"{path.stat().st_size:,}" in said
    assert inspect(path).totals()["prunable_zeros"] > 0
    with pytest.raises(UsageError, match="--int8 is asked for of a pt2 file"):
        invoke("export", run, *own, "--int8", "--to", "pt2")
