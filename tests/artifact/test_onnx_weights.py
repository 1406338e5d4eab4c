"""Quantised ONNX weights: what is a weight, and which of its numbers mean zero."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from secateur.artifact.inspection import Inspection
from secateur.artifact.memory import working_memory
from secateur.artifact.onnx_file import read_onnx
from secateur.artifact.onnx_weights import Weight, zeros

VALUES = np.array([[3, 5, 0], [3, 5, 5]])
"""Zero points 3 and 5 by column, 3 and 5 by row."""

POINTS = {
    "by one, signed": (None, 1),
    "by one": (np.array(5), 3),
    "by column": (np.array([3, 5, 0]), 5),
    "by row": (np.array([3, 5]), 3),
}


def written(
    path: Path, nodes: list[Any], stored: dict[str, Any], kinds: dict[str, int] | None = None
) -> Inspection:
    held = [
        helper.make_tensor(name, kinds[name], values.shape, values.flatten().tolist())
        if kinds and name in kinds
        else numpy_helper.from_array(np.asarray(values), name)
        for name, values in stored.items()
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [given], [made], held)
    onnx.save(helper.make_model(graph), path / "x.onnx")
    return read_onnx(path / "x.onnx")


def counted(found: Inspection) -> dict[str, tuple[str, int | None]]:
    return {tensor.name: (tensor.role, tensor.zeros) for tensor in found.tensors}


@pytest.mark.parametrize("kind", [np.uint8, np.int8, TensorProto.UINT4, TensorProto.INT4])
@pytest.mark.parametrize("points", POINTS)
def test_a_dequantised_weight_is_zero_at_its_zero_point(
    tmp_path: Path, points: str, kind: Any
) -> None:
    point, zeros = POINTS[points]
    stored: dict[str, Any] = {"w": VALUES, "scale": np.ones(np.shape(point), np.float32)}
    read = ["w", "scale"]
    if point is not None:
        stored["point"] = point
        read.append("point")
    kinds = None
    if isinstance(kind, int):
        kinds = {name: kind for name in stored if name != "scale"}
    else:
        stored = {n: v if n == "scale" else v.astype(kind) for n, v in stored.items()}
    nodes = [
        helper.make_node("DequantizeLinear", read, ["d"], axis=0 if points == "by row" else 1),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    found = written(tmp_path, nodes, stored, kinds)
    assert counted(found)["w"] == ("linear", zeros)
    assert found.totals()["parameters"] == found.totals()["prunable"] == 6


@pytest.mark.parametrize(
    ("operator", "names", "role"),
    [
        ("MatMulInteger", ["x", "w", "", "point"], "linear"),
        ("ConvInteger", ["x", "w", "", "point"], "conv"),
        ("QLinearMatMul", ["x", "s", "z", "w", "scale", "point", "s", "z"], "linear"),
        ("QLinearConv", ["x", "s", "z", "w", "scale", "point", "s", "z", "bias"], "conv"),
        ("QGemm", ["x", "s", "z", "w", "scale", "point", "bias"], "linear"),
        ("DynamicQuantizeMatMul", ["x", "w", "scale", "point", "bias"], "linear"),
    ],
)
def test_integer_operators_multiply_by_weights(
    tmp_path: Path, operator: str, names: list[str], role: str
) -> None:
    stored = {
        "w": VALUES.astype(np.uint8), "point": np.uint8(5), "scale": np.float32(1),
        "s": np.float32(1), "z": np.uint8(0), "bias": np.int32([0, 7]),
    }  # fmt: skip
    stored = {name: value for name, value in stored.items() if name in names}
    found = counted(written(tmp_path, [helper.make_node(operator, names, ["y"])], stored))
    assert found["w"] == (role, 3)
    assert {found[name][0] for name in ("point", "scale", "s", "z") if name in found} == {"buffer"}
    assert found.get("bias", ("", 1)) == ("", 1)


def test_blocks_share_a_zero_point(tmp_path: Path) -> None:
    stored = {"w": np.uint8([[3, 3], [3, 5], [5, 0]]), "point": np.uint8([[3, 5], [5, 0]])}
    stored["scale"] = np.ones((2, 2), np.float32)
    nodes = [
        helper.make_node(
            "DequantizeLinear", ["w", "scale", "point"], ["d"], axis=0, block_size=1 << 1
        ),
        helper.make_node("Gemm", ["x", "d"], ["y"]),
    ]
    assert counted(written(tmp_path, nodes, stored))["w"] == ("linear", 5)


def test_a_zero_point_that_is_computed_leaves_the_count_open(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMulInteger", ["x", "w", "", "made"], ["y"])]
    assert counted(written(tmp_path, nodes, {"w": np.uint8([[1, 0]])}))["w"] == ("linear", None)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_half_weights_are_parameters_and_a_shared_one_counts_once(
    tmp_path: Path, kind: int
) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("MatMul", ["x", "w"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["c"]),
        helper.make_node("Add", ["c", "bias"], ["y"]),
    ]
    stored = {"w": np.array([[0.0, 2.0], [0.0, 1.0]]), "bias": np.array([0.0, 1.0])}
    found = written(tmp_path, nodes, stored, dict.fromkeys(stored, kind))
    assert counted(found) == {"w": ("linear", 2), "bias": ("", 1)}
    assert found.totals()["parameters"] == 6


@pytest.mark.parametrize(
    ("values", "points", "block"),
    [
        (np.zeros((1, 50_000), np.uint8), np.zeros((50_000, 1), np.uint8), 0),
        (np.zeros((1, 1), np.uint8), np.zeros((50_000,), np.uint8), 0),
        (np.zeros((1, 50_000), np.uint8), np.zeros((50_000, 1), np.uint8), 50_000),
        (np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.uint8), -1),
    ],
)
def test_zero_points_are_spread_no_further_than_the_values(
    values: Any, points: Any, block: int
) -> None:
    taken = working_memory(lambda: refused(values, points, block))
    assert taken is None or taken < 16 << 20


def refused(values: Any, points: Any, block: int) -> None:
    with pytest.raises((ValueError, IndexError)):
        zeros(values, Weight(None, "z", 1, block), {"z": points})
