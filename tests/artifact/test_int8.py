"""INT8: zeros stay zeros, counts stay counts, and what cannot be quantised leaves no file."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import secateur
from secateur.artifact.calling import call_of
from secateur.artifact.export import export_onnx, session
from secateur.artifact.int8 import OPERATION, Feed, export_int8, feeds, quantise
from secateur.artifact.onnx_file import read_onnx
from secateur.errors import ArtifactError, ModelError


def pruned() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 16), nn.ReLU(),
        nn.Linear(16, 4),
    )  # fmt: skip
    secateur.prune(net, "magnitude", sparsity=0.9)
    return net.eval()


def batches(*shape: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(16, *shape, generator=generator) for _ in range(4)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, nn.Module]:
    folder, net = tmp_path_factory.mktemp("int8"), pruned()
    export_onnx(net, torch.zeros(1, 3, 10, 10), folder / "whole.onnx")
    given = feeds(call_of(net, torch.zeros(1, 3, 10, 10), OPERATION), batches(3, 10, 10))
    quantise(folder / "whole.onnx", folder / "int8.onnx", given, metadata={"a": "1"})
    return folder / "whole.onnx", folder / "int8.onnx", net


def test_every_pruned_weight_is_zero_in_the_file(files: tuple[Path, Path, nn.Module]) -> None:
    stored = {one.name: one for one in onnx.load(files[1]).graph.initializer}
    for layer in ("4", "8", "10"):
        weight = files[2].get_parameter(f"{layer}.weight").detach().numpy()
        held = onnx.numpy_helper.to_array(stored[f"{layer}.weight_quantized"])
        assert held.dtype == np.int8
        assert not held[weight == 0].any()
        assert held[weight != 0].any()
        # By channel, and symmetric.
        assert stored[f"{layer}.weight_scale"].dims == [len(weight)]
        assert not onnx.numpy_helper.to_array(stored[f"{layer}.weight_zero_point"]).any()


class Bag(nn.Module):
    """Ids to scores; the row of the padding is zero, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 8, padding_idx=0)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.table(ids).mean(1))


def test_a_zero_of_a_table_is_its_zero_point(tmp_path: Path) -> None:
    net = Bag().eval()
    with torch.no_grad():
        net.table.weight[1:] += 1.0  # its range is not symmetric: zero is not stored as 0
        net.table.weight[3] = 0
    ids = torch.arange(9).repeat(4, 1)
    export_int8(net, ids, tmp_path / "x.onnx", [ids])
    stored = {
        one.name: onnx.numpy_helper.to_array(one)
        for one in onnx.load(tmp_path / "x.onnx").graph.initializer
    }
    (table,) = (name for name, value in stored.items() if value.shape == (9, 8))
    zero = stored[table.replace("_quantized", "_zero_point")]
    assert zero != 0
    held = (stored[table] == zero).all(1)
    assert held.tolist() == [row in (0, 3) for row in range(9)]


def test_inspect_counts_what_it_counts_in_the_float32_file(
    files: tuple[Path, Path, nn.Module],
) -> None:
    whole, small = (read_onnx(path).totals() for path in files[:2])
    for name in ("parameters", "prunable", "conv"):
        assert small[name] == whole[name]
    assert small["prunable_zeros"] >= whole["prunable_zeros"] > 0
    assert read_onnx(files[1]).origin == {"a": "1"}


def test_it_answers_nearly_as_the_network_at_every_batch(
    files: tuple[Path, Path, nn.Module],
) -> None:
    for batch in (1, 7):
        inputs = torch.randn(batch, 3, 10, 10, generator=torch.Generator().manual_seed(batch))
        given = session(files[1]).run(None, {"input": inputs.numpy()})[0]
        expected = files[2](inputs).detach()
        apart = (torch.from_numpy(given) - expected).abs().max()
        assert 0 < apart < 0.1 * float(expected.abs().max())


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, u: Tensor, v: Tensor) -> Tensor:
        return self.left(u) + self.right(v)


def test_several_inputs_are_calibrated_by_name(tmp_path: Path) -> None:
    example = {"u": torch.randn(2, 4), "v": torch.randn(2, 2)}
    export_int8(Pair(), example, tmp_path / "x.onnx", [example])
    feed = {name: one.numpy() for name, one in example.items()}
    assert session(tmp_path / "x.onnx").run(None, feed)[0].shape == (2, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "the calibration data is no batch"),
        ([{"input": np.zeros((2, 3, 9), np.float32)}], "refused by ONNX Runtime's quantiser"),
    ],
)
def test_what_cannot_be_calibrated_leaves_no_file(
    files: tuple[Path, Path, nn.Module], tmp_path: Path, given: list[Feed], words: str
) -> None:
    with pytest.raises(ArtifactError, match=words):
        quantise(files[0], tmp_path / "x.onnx", given, metadata=None)
    assert not list(tmp_path.iterdir())


def test_a_net_without_weights_is_refused_by_its_operators(tmp_path: Path) -> None:
    value = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"])], "g", [next(value)], [next(value)]
    )
    opset = [helper.make_opsetid("", 18)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "a.onnx")
    feed = {"x": np.ones((2, 4), np.float32)}
    with pytest.raises(ArtifactError, match="the network is of Sigmoid"):
        quantise(tmp_path / "a.onnx", tmp_path / "x.onnx", [feed], metadata=None)
    assert [one.name for one in tmp_path.iterdir()] == ["a.onnx"]


def test_batches_of_other_tensors_and_half_precision_are_refused() -> None:
    call = call_of(nn.Linear(4, 2), torch.ones(2, 4), OPERATION)
    with pytest.raises(ModelError, match="a calibration batch is 2 tensors"):
        list(feeds(call, [(torch.ones(2, 4), torch.ones(2))]))
    half = call_of(nn.Linear(4, 2).half(), torch.ones(2, 4).half(), OPERATION)
    with pytest.raises(ModelError, match=r"of torch\.float16, expected float32"):
        list(feeds(half, []))


def test_without_the_extra_it_is_named(
    files: tuple[Path, Path, nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(ArtifactError, match=r"onnxruntime.quantization is missing.*\[export\]"):
        quantise(files[0], tmp_path / "x.onnx", [], metadata=None)
    assert not list(tmp_path.iterdir())
