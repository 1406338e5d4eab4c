"""`secateur export`: every point of a study, in every kind of file."""

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
from secateur.cli.export import _file_name, _make_folder, find
from secateur.errors import SecateurError, StoreError, UsageError
from secateur.foundation.level import Levels
from secateur.study.checkpoint import load_checkpoint
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
    store = Store(run)
    point = find(store, "magnitude:0.4:0")
    assert find(store, point.digest[:10]) == point


def test_a_name_that_several_points_have_is_refused_with_their_digests(run: Path) -> None:
    dense = [point for point in Store(run).points() if point.method == "dense"]
    with pytest.raises(UsageError) as refused:
        find(Store(run), "dense:-:0")
    assert all(point.digest[:8] in str(refused.value) for point in dense)


@pytest.mark.parametrize("wanted", ["magnitude:0.5:0", "", "zzzzzzzz", "abc"])
def test_a_point_that_is_none_is_refused_with_the_names(run: Path, wanted: str) -> None:
    with pytest.raises(UsageError, match=r"expected one of .*dense:-:0"):
        find(Store(run), wanted)


def test_data_given_in_python_cannot_be_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Store.settings.fget(Store(run))  # type: ignore[attr-defined]
    given = {**held, "data": {"name": "given", "options": {}}}
    monkeypatch.setattr(Store, "settings", property(lambda _: given))
    with pytest.raises(StoreError, match="given in Python"):
        invoke("export", run, *OWN, "--point", "magnitude:0.4:0")


def test_a_run_folder_that_cannot_be_written_names_another_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match=r"not writable \(Read-only file system\).*--out"):
        _make_folder(tmp_path / "exports")


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
