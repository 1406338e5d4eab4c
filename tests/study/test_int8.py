"""INT8 of a point: the file that is written is the one that is scored."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import secateur
from secateur.artifact.manifest import Source
from secateur.artifact.onnx_net import OnnxNet
from secateur.data import from_tensors
from secateur.errors import UsageError
from secateur.point import Point
from secateur.spec import StudySpec
from secateur.study.export import PointNet
from secateur.study.int8 import Measuring, measuring, quantised
from secateur.study.job import Setup
from secateur.study.plan import Run
from secateur.study.point_artifact import compaction_of
from secateur.training.loop import CLASSIFICATION


@pytest.fixture(scope="module")
def held() -> Measuring:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(96, 6, generator=generator)
    labels = (inputs[:, 0] > 0).long()
    train, val, test = (
        (inputs[at], labels[at]) for at in (slice(0, 64), slice(64, 80), slice(80, 96))
    )
    study = StudySpec.model_validate({"methods": {"dense": {}}})
    data = from_tensors("halves", train=train, val=val, test=test)
    return Measuring(Setup(study, Path()), data, CLASSIFICATION)


def point_net(point: Point) -> PointNet:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2)).eval()
    masks = secateur.prune(net, "magnitude", sparsity=0.5)
    example = torch.randn(2, 6)
    small = compaction_of(net, masks, example)
    return PointNet("tiny", point, Source(name="mine:net"), net, masks, small, example)


def test_the_file_is_what_is_scored_and_timed(
    tmp_path: Path, held: Measuring, make_point: Callable[..., tuple[Run, Point]]
) -> None:
    made = point_net(make_point("magnitude", (0.5,), 50)[1])
    found = quantised(made, held, tmp_path / "x.onnx", seconds=0.001)
    assert [one.name for one in found.scores] == ["val_accuracy", "test_accuracy"]
    net = OnnxNet(tmp_path / "x.onnx")
    (inputs, labels), *_ = held.data.batches("val", 16)
    right = int((net(inputs).argmax(1) == labels).sum())
    assert (found.scores[0].part, found.scores[0].total) == (right, 16)
    assert found.bytes[0] == (tmp_path / "x.onnx").stat().st_size
    assert found.examples == 64
    assert [(one.engine, one.batch) for pair in found.latency for one in pair] == [
        ("onnxruntime-int8", 1), ("onnxruntime", 1), ("onnxruntime-int8", 64), ("onnxruntime", 64),
    ]  # fmt: skip


def test_what_a_folder_names_is_not_imported_for_its_data(undisturbed: SimpleNamespace) -> None:
    from secateur.study.store import Store

    with pytest.raises(UsageError, match=r"quantising to INT8: the model is .*--study"):
        measuring(Store(undisturbed.folder / "run"))
