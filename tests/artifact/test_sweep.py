"""A real sweep: each method's net, masked and compact, comes back in a fresh process, and what a
file says of itself are the store's integers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from coming_back import Journey, read_afresh
from facts import facts
from torch import Tensor, nn
from typer.testing import CliRunner

import secateur.cli.export
import secateur.cli.frontier  # noqa: F401
from secateur import models
from secateur.artifact.inspect import inspect
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.cli.app import app
from secateur.registry import METHODS
from secateur.study.checkpoint import load_checkpoint
from secateur.study.store import Store

SHAPE, CLASSES = (3, 12, 12), 5


def grow(_: str, seed: int) -> tuple[nn.Module, Tensor]:
    """The study's own net, with weights of this seed, and inputs that are always the same."""
    torch.manual_seed(seed)
    net = models.build("tiny:net", SHAPE, CLASSES)
    return net.eval(), torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def store(undisturbed: SimpleNamespace) -> Store:
    return Store(undisturbed.folder / "run")


@pytest.fixture(scope="module")
def exports(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each point, by its digest: the file of `secateur export`, and one of the masked net."""
    folder = tmp_path_factory.mktemp("exports")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(store.folder.parent))
        patch.delitem(sys.modules, "tiny", raising=False)
        for point in store.points():
            compact = folder / f"{point.digest}-compact.safetensors"
            chosen = ("--point", point.digest, "--model", "tiny:net", "--out", compact)
            invoke("export", store.folder, *chosen)
            net, _ = grow("", 2)
            state, masks = load_checkpoint(store.checkpoint(point.digest))
            net.load_state_dict(state)
            save(net, folder / f"{point.digest}-masked.safetensors", masks)
    return folder


@pytest.fixture(scope="module")
def journey(store: Store, exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    saved = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(store.folder.parent))
        for point in store.points():
            net, example = grow("", 2)
            state, masks = load_checkpoint(store.checkpoint(point.digest))
            net.load_state_dict(state)
            small = compact_with_record(net, masks or {}, example).model.eval()
            saved[f"{point.digest}-compact"] = facts(small, example)
            saved[f"{point.digest}-masked"] = facts(net, example)
    away = tmp_path_factory.mktemp("away")
    return read_afresh("test_sweep", saved, exports, away, [store.folder.parent])


SWEPT = (
    *("magnitude", "l1-filter", "slimming", "combined"),
    *("random-weight", "random-filter", "dense", "scratch"),
)
"""Every way in which a net is cut and trained; what ranks the weights leaves no other file."""


def test_the_sweep_has_every_way_of_cutting(store: Store) -> None:
    assert {point.method for point in store.points()} == set(SWEPT)
    ways = {(one.granularity, one.scope) for name in METHODS for one in METHODS[name].parts}
    assert ways == {(one.granularity, one.scope) for name in SWEPT for one in METHODS[name].parts}


@pytest.mark.parametrize("kind", ["masked", "compact"])
@pytest.mark.parametrize("method", SWEPT)
def test_a_method_comes_back_in_a_fresh_process(
    store: Store, journey: Journey, method: str, kind: str
) -> None:
    names = [f"{point.digest}-{kind}" for point in store.points() if point.method == method]
    assert names
    for name in names:
        assert journey.read[name] == journey.saved[name]


def test_a_file_says_what_the_store_says(store: Store, exports: Path) -> None:
    rows = {row["digest"]: row for row in json.loads(invoke("frontier", store.folder, "--json"))}
    for point in store.points():
        row = rows[point.digest]
        path = exports / f"{point.digest}-compact.safetensors"
        totals = inspect(path).totals()
        assert totals["parameters"] == point.compact_parameters == row["compact_parameters"]
        assert totals["dense_parameters"] == point.parameters == row["parameters"]
        assert totals["macs"] == point.macs == row["macs"]
        assert totals["nonzero_macs"] == point.nonzero_macs == row["nonzero_macs"]
        assert totals["bytes"] == path.stat().st_size == row["artifact_bytes"]
        masked = inspect(exports / f"{point.digest}-masked.safetensors").totals()
        assert masked["parameters"] == point.parameters
        assert masked["parameters"] - masked["zeros"] == point.nonzero == row["nonzero"]
        for name, share in (("prunable", "sparsity"), ("conv", "conv_sparsity")):
            counted = {"zeros": masked[f"{name}_zeros"], "total": masked[name]}
            assert counted == row[share]
