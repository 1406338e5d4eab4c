"""Looking into ONNX files: multiply-adds, and files that are none or name others."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from secateur.artifact.export import export_onnx
from secateur.artifact.inspect import inspect
from secateur.errors import ArtifactError
from secateur.measure.cost import cost


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Conv2d(4, 8, 3, groups=2, padding=1), (4, 6, 6)),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), (4, 5, 5)),
        (nn.Sequential(nn.Linear(4, 3)), (7, 4)),
        (nn.Conv1d(2, 3, 3, stride=2), (2, 9)),
    ],
)
def test_multiplications_of_an_onnx_graph(
    tmp_path: Path, net: nn.Module, shape: tuple[int, ...]
) -> None:
    example = torch.rand(1, *shape)
    export_onnx(net, example, tmp_path / "x.onnx")
    assert inspect(tmp_path / "x.onnx").totals()["macs"] == cost(net, example).macs


def test_weights_in_other_files_are_named_and_never_opened(tmp_path: Path) -> None:
    export_onnx(nn.Linear(4, 3), torch.rand(1, 4), tmp_path / "x.onnx")
    proto = onnx.load(tmp_path / "x.onnx")
    for tensor in proto.graph.initializer:
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.ClearField("raw_data")
        tensor.external_data.add(key="location", value="../../../../etc/passwd")
    (tmp_path / "y.onnx").write_bytes(proto.SerializeToString())
    found = inspect(tmp_path / "y.onnx").totals()
    assert found["zeros"] is None
    assert found["parameters"] == 15


@pytest.mark.parametrize("content", [b"", b"no", b"\x08" * 1000, bytes(range(256))])
def test_what_is_no_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ArtifactError):
        inspect(tmp_path / "x.onnx")


def linear(path: Path, **words: str) -> Any:
    """A layer of 12 weights, made without the exporter, which takes seconds."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    held = [numpy_helper.from_array(np.ones((4, 3), np.float32), "fc.weight")]
    nodes = [helper.make_node("Gemm", ["x", "fc.weight"], ["y"])]
    proto = helper.make_model(helper.make_graph(nodes, "g", [value], [out], held))
    helper.set_model_props(proto, words)
    path.write_bytes(proto.SerializeToString())
    return proto


def with_functions(calls: list[tuple[str, list[str]]], first: str) -> Any:
    """A model whose functions call each other; `Relu` is the operator."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    functions = []
    for name, called in calls:
        nodes = [
            helper.make_node(one, [f"v{n}"], [f"v{n + 1}"], domain="" if one == "Relu" else "own")
            for n, one in enumerate(called)
        ]
        made = helper.make_function(
            "own", name, ["v0"], [f"v{len(called)}"], nodes, opset_imports=opsets
        )
        functions.append(made)
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    call = helper.make_node(first, ["x"], ["y"], domain="own")
    graph = helper.make_graph([call], "g", [value], [out])
    return helper.make_model(graph, functions=functions, opset_imports=opsets)


def test_functions_that_unfold_without_an_end_are_refused_at_once(tmp_path: Path) -> None:
    calls = [("f0", ["Relu"] * 10), *((f"f{n}", [f"f{n - 1}"] * 10) for n in range(1, 20))]
    content = with_functions(calls, "f19").SerializeToString()
    assert len(content) < 10_000
    (tmp_path / "x.onnx").write_bytes(content)
    begun = time.monotonic()
    with pytest.raises(ArtifactError, match="unfold to more than 1,000,000 operators"):
        inspect(tmp_path / "x.onnx")
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("calls", [[("f", ["f"])], [("f", ["g"]), ("g", ["Relu", "f"])]])
def test_a_function_that_calls_itself_is_refused(
    tmp_path: Path, calls: list[tuple[str, list[str]]]
) -> None:
    (tmp_path / "x.onnx").write_bytes(with_functions(calls, "f").SerializeToString())
    with pytest.raises(ArtifactError, match="calls itself"):
        inspect(tmp_path / "x.onnx")


def test_shapes_that_no_memory_holds_cost_the_multiplications_and_no_more(tmp_path: Path) -> None:
    """A tensor of 30,000 axes, and 30,000 operators each of which gives another like it."""
    count = 30_000
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["v0"])]
    nodes += [helper.make_node("Relu", [f"v{n}"], [f"v{n + 1}"]) for n in range(count)]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info(f"v{count}", TensorProto.FLOAT, None)
    held = [numpy_helper.from_array(np.ones(count, np.int64), "shape")]
    graph = helper.make_graph(nodes, "g", [value], [out], held)
    (tmp_path / "x.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    found = inspect(tmp_path / "x.onnx").totals()
    assert (found["parameters"], found["macs"]) == (0, None)


def test_words_of_a_file_may_have_any_name(tmp_path: Path) -> None:
    linear(tmp_path / "x.onnx", run="a")
    assert inspect(tmp_path / "x.onnx").origin == {"run": "a"}


@pytest.mark.parametrize("dims", [[-4, 3], [1 << 31, 1 << 31]])
def test_a_shape_that_is_none_is_refused(tmp_path: Path, dims: list[int]) -> None:
    proto = linear(tmp_path / "x.onnx")
    weight = proto.graph.initializer[0]
    weight.data_location = TensorProto.EXTERNAL
    del weight.dims[:]
    weight.dims.extend(dims)
    weight.external_data.add(key="location", value="/dev/zero")
    (tmp_path / "y.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match="of shape"):
        inspect(tmp_path / "y.onnx")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("x.onnx", "x.safetensors"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ArtifactError, match="a pipe or a device"):
            inspect(tmp_path / name)
    (tmp_path / "y.onnx").symlink_to("/dev/zero")
    with pytest.raises(ArtifactError, match="a pipe or a device"):
        inspect(tmp_path / "y.onnx")


def test_a_module_in_the_current_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear(tmp_path / "x.onnx")
    for name in ("onnx", "numpy", "json", "secateur"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    assert inspect("x.onnx").totals()["macs"] == 12
    assert not (tmp_path / "ran").exists()
