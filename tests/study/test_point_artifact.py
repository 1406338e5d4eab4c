"""The file that a point is handed over in, and what the store knows of it beforehand."""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from secateur.cli import app
from secateur.data.images import ImageData
from secateur.data.shapes import shapes
from secateur.point import Epochs, Point, Share, accuracy
from secateur.pruning.masks import Masks
from secateur.spec import StudySpec
from secateur.study.point_artifact import artifact_bytes, compaction_of
from secateur.study.store import Store


@pytest.mark.parametrize("name", ["magnitude:0.7:0", "l1-filter:0.7:0"])
def test_the_bytes_of_the_store_are_those_of_the_exported_file(
    undisturbed: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, _, _ = name.split(":")
    file = tmp_path / f"{method}.safetensors"
    monkeypatch.chdir(undisturbed.folder)
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    done = CliRunner().invoke(
        app, ["export", "run", "--point", name, "--model", "tiny:net", "--out", str(file)]
    )
    assert done.exit_code == 0, done.output
    points = Store(undisturbed.folder / "run").points()
    (point,) = (p for p in points if p.method == method and p.level == (0.7,))
    assert point.artifact_bytes == file.stat().st_size


def test_layers_are_counted_as_the_weights_are(undisturbed: Any) -> None:
    run = Path(undisturbed.folder, "run")
    cut = 0
    for point in Store(run).points():
        state = load_file(run / point.checkpoint)
        for layer in point.layers:
            assert tuple(state[layer.name].shape) == layer.shape
            assert int((state[layer.name] == 0).sum()) == layer.zeros
            assert layer.channels == layer.shape[0]
            assert 1 <= layer.kept <= layer.channels
            cut += layer.channels - layer.kept
        assert sum(layer.zeros for layer in point.layers) == point.sparsity.part
        assert sum(prod(layer.shape) for layer in point.layers) == point.sparsity.total
    assert cut > 0


class Odd(nn.Sequential):
    """A network with a state that is no tensor, which no artifact can hold."""

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 1}

    def set_extra_state(self, state: object) -> None:
        """Nothing."""


def test_a_net_that_no_file_can_hold_has_no_size() -> None:
    data: ImageData = shapes(train=10, val=4, test=4, size=8)
    example = data.example(2)
    net = Odd(nn.Flatten(), nn.Linear(example[0].numel(), data.classes)).eval()
    share = Share(0, 1)
    scores = (accuracy("val", 0, 1), accuracy("test", 0, 1))
    point = Point("dense", (), 0, 0, "d", scores, share, share, share, 1, 1, 1, 1, 1, 1,
                  Epochs(1, 0, 0), 1.0, "points/d.safetensors")  # fmt: skip
    masks = Masks({})
    small = compaction_of(net, masks, example)
    study = StudySpec.model_validate({"methods": {"dense": {}}})
    assert artifact_bytes(study, point, net, masks, small, data, example) is None
    plain = nn.Sequential(*net).eval()
    small = compaction_of(plain, masks, example)
    size = artifact_bytes(study, point, plain, masks, small, data, example)
    assert size is not None
    assert size > 4 * sum(parameter.numel() for parameter in plain.parameters())
    assert torch.equal(plain[1].weight, net[1].weight)
