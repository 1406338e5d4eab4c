"""Looking into an ONNX file: its weights, and the multiply-adds of its graph."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from secateur.artifact.error import damaged
from secateur.artifact.export import imported
from secateur.artifact.inspection import Inspection, StoredLayer, StoredTensor
from secateur.artifact.manifest import Role
from secateur.artifact.onnx_weights import CONVOLUTIONS, GEMMS, Weight, readers, weights_of, zeros
from secateur.errors import ArtifactError

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
    shapes, uses, how = _shapes(graph), weights_of(graph), readers(graph)
    points = _arrays(graph, {use.zero_point for use in uses.values()})
    layers: dict[str, list[StoredTensor]] = {}
    nodes: dict[str, tuple[str, Any]] = {}
    for initializer in graph.initializer:
        name = initializer.name
        layer = name.rpartition(".")[0] or name
        use = uses.get(name)
        if use is not None and use.node is not None:
            nodes[layer] = name, use.node
        held = _tensor(initializer, use, is_reader=name in how, points=points)
        layers.setdefault(layer, []).append(held)
    found = [
        _layer(name, own, *nodes.get(name, ("", None)), shapes) for name, own in layers.items()
    ]
    return Inspection(
        str(path),
        "onnx",
        False,
        path.stat().st_size,
        tuple(found),
        origin={entry.key: entry.value for entry in model.metadata_props},
    )


def _arrays(graph: Any, names: set[str]) -> dict[str, Any]:
    onnx = imported("onnx")
    return {
        one.name: onnx.numpy_helper.to_array(one)
        for one in graph.initializer
        if one.name in names and one.data_location != onnx.TensorProto.EXTERNAL
    }


def _shapes(graph: Any) -> dict[str, list[int | None]]:
    found = {}
    for value in [*graph.value_info, *graph.output, *graph.input]:
        dims = value.type.tensor_type.shape.dim
        found[value.name] = [dim.dim_value or None for dim in dims]
    return found


def _tensor(
    initializer: Any, use: Weight | None, *, is_reader: bool, points: Mapping[str, Any]
) -> StoredTensor:
    onnx = imported("onnx")
    shape, count = tuple(initializer.dims), None
    if initializer.data_location != onnx.TensorProto.EXTERNAL:
        count = zeros(onnx.numpy_helper.to_array(initializer), use, points)
    role: Role = ""
    if use is not None and use.node is not None:
        role = "conv" if use.node.op_type in CONVOLUTIONS else "linear"
    elif is_reader or (use is None and initializer.data_type not in _floats(onnx.TensorProto)):
        role = "buffer"
    return StoredTensor(initializer.name, role, shape, shape, {}, count, initializer.ByteSize())


def _floats(kinds: Any) -> tuple[int, ...]:
    return kinds.FLOAT, kinds.DOUBLE, kinds.FLOAT16, kinds.BFLOAT16


def _layer(
    name: str, own: list[StoredTensor], stored: str, node: Any, shapes: dict[str, list[int | None]]
) -> StoredLayer:
    if node is None:
        return StoredLayer(name, "", tuple(own), None, None)
    weight = next(tensor for tensor in own if tensor.name == stored)
    uses = _uses(node, shapes)
    if uses is None:
        return StoredLayer(name, node.op_type, tuple(own), None, None)
    macs = uses * prod(weight.shape)
    nonzero = None if weight.zeros is None else uses * (prod(weight.shape) - weight.zeros)
    return StoredLayer(name, node.op_type, tuple(own), macs, nonzero)


def _uses(node: Any, shapes: dict[str, list[int | None]]) -> int | None:
    """How often each weight is multiplied for one example; None where shapes are not known."""
    if node.op_type in GEMMS:
        return 1
    transposed = node.op_type == "ConvTranspose"
    shape = shapes.get(node.input[0] if transposed else node.output[0], [])
    places = shape[2:] if node.op_type in CONVOLUTIONS else shape[1:-1]
    if not shape or None in places:
        return None
    return prod(size for size in places if size is not None)
