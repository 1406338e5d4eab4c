"""Looking into an ONNX file: its weights, and the multiply-adds of its graph."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from secateur.artifact.error import damaged
from secateur.artifact.export import imported
from secateur.artifact.inspect import Inspection, Layer, Tensor
from secateur.artifact.manifest import Role
from secateur.errors import ArtifactError

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_PRODUCTS = ("Gemm", "MatMul")
_LARGEST = 2 << 30


def inspect_onnx(path: Path) -> Inspection:
    """Inspect an ONNX file; weights that it keeps in other files are named, never opened.

    Raises:
        ArtifactError: It is missing or damaged, or onnx is not installed.
    """
    try:
        return _inspect(path, _load(path))
    except ArtifactError:
        raise
    except OSError as error:
        raise ArtifactError(
            "reading a model file",
            str(path),
            given=f"unreadable ({error.strerror})",
            expected="an ONNX file",
            remedy="Check the path.",
        ) from None
    except Exception as error:
        raise damaged(path, f"no ONNX ({' '.join(str(error).split())[:200]})", "ONNX") from None


def _load(path: Path) -> Any:
    onnx = imported("onnx")
    size = path.stat().st_size
    if size > _LARGEST:
        raise damaged(path, f"{size:,} bytes", f"at most {_LARGEST:,}, as protobuf allows")
    # Without onnx.checker: it looks for the other files that a model names.
    model = onnx.load(path, load_external_data=False)
    if not model.graph.node:
        raise damaged(path, "without a graph", "ONNX")
    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception:
        return model


def _inspect(path: Path, model: Any) -> Inspection:
    graph = model.graph
    shapes = _shapes(graph)
    users = {node.input[1]: node for node in graph.node if _has_weight(node)}
    layers: dict[str, list[Tensor]] = {}
    nodes: dict[str, Any] = {}
    for initializer in graph.initializer:
        name = initializer.name
        layer = name.rpartition(".")[0] or name
        node = users.get(name)
        if node is not None:
            nodes[layer] = node
        layers.setdefault(layer, []).append(_tensor(initializer, node))
    return Inspection(
        str(path),
        "onnx",
        False,
        path.stat().st_size,
        tuple(_layer(name, own, nodes.get(name), shapes) for name, own in layers.items()),
        origin={entry.key: entry.value for entry in model.metadata_props},
    )


def _has_weight(node: Any) -> bool:
    return node.op_type in (*_CONVOLUTIONS, *_PRODUCTS) and len(node.input) > 1


def _shapes(graph: Any) -> dict[str, list[int | None]]:
    found = {}
    for value in [*graph.value_info, *graph.output, *graph.input]:
        dims = value.type.tensor_type.shape.dim
        found[value.name] = [dim.dim_value or None for dim in dims]
    return found


def _tensor(initializer: Any, node: Any) -> Tensor:
    onnx = imported("onnx")
    shape, zeros = tuple(initializer.dims), None
    if initializer.data_location != onnx.TensorProto.EXTERNAL:
        values = onnx.numpy_helper.to_array(initializer)
        zeros = int(values.size - np.count_nonzero(values))
    role: Role = ""
    if node is not None:
        role = "conv" if node.op_type in _CONVOLUTIONS else "linear"
    elif initializer.data_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        role = "buffer"
    return Tensor(initializer.name, role, shape, shape, {}, zeros, initializer.ByteSize())


def _layer(name: str, own: list[Tensor], node: Any, shapes: dict[str, list[int | None]]) -> Layer:
    if node is None:
        return Layer(name, "", tuple(own), None, None)
    weight = next(tensor for tensor in own if tensor.name == node.input[1])
    uses = _uses(node, shapes)
    if uses is None:
        return Layer(name, node.op_type, tuple(own), None, None)
    macs = uses * prod(weight.shape)
    nonzero = None if weight.zeros is None else uses * (prod(weight.shape) - weight.zeros)
    return Layer(name, node.op_type, tuple(own), macs, nonzero)


def _uses(node: Any, shapes: dict[str, list[int | None]]) -> int | None:
    """How often each weight is multiplied for one example; None where shapes are not known."""
    if node.op_type == "Gemm":
        return 1
    transposed = node.op_type == "ConvTranspose"
    shape = shapes.get(node.input[0] if transposed else node.output[0], [])
    places = shape[1:-1] if node.op_type == "MatMul" else shape[2:]
    if not shape or None in places:
        return None
    return prod(size for size in places if size is not None)
