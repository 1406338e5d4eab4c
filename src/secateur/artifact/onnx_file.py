"""What is in an ONNX file: read here as a program of its own, which `inspect_onnx` starts.

It writes one line of JSON: the inspection, or the error. A second line, if it comes to that, has
the multiply-adds, too, for which the shapes are inferred in C++.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

from secateur.artifact.apart import bound_memory, bound_work
from secateur.artifact.error import damaged
from secateur.artifact.inspection import Inspection, StoredLayer, StoredTensor
from secateur.artifact.manifest import Role
from secateur.artifact.onnx_functions import MOST_OPERATORS, unfolded
from secateur.artifact.onnx_weights import CONVOLUTIONS, GEMMS, Weight, readers, weights_of, zeros
from secateur.artifact.packages import imported
from secateur.errors import ArtifactError

_LARGEST = 2 << 30
_MOST_TENSORS = 1 << 17
_LARGEST_TENSOR, _MOST_AXES = 1 << 62, 64
_SECONDS, _BYTES_A_SECOND, _SHAPE_SECONDS = 60, 1 << 24, 30
"""Of a processor: to read a file, and for the shapes, which are not worth waiting longer for."""

_MEMORY = 1 << 30
_COPIES = 10
"""Memory that reading may take, beside what Python takes: so many times what the file does."""


def read_onnx(path: Path) -> Inspection:
    """Look into an ONNX file in this process, without its multiply-adds.

    Raises:
        ArtifactError: It is missing or damaged, or onnx is not installed.
    """
    with _named(path):
        return _inspect(path, _load(path))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except ArtifactError:
        raise
    except MemoryError:
        raise damaged(path, "more than there is room for in memory", "a sound file") from None
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
    if len(model.graph.initializer) > _MOST_TENSORS:
        count = len(model.graph.initializer)
        raise damaged(path, f"{count:,} tensors", f"at most {_MOST_TENSORS:,}")
    if unfolded(model) > MOST_OPERATORS:
        given = f"functions that unfold to more than {MOST_OPERATORS:,} operators"
        raise damaged(path, given, "as many as can be run")
    return model


def _infer_shapes(model: Any) -> None:
    """Give a model the shapes of what its operators make, as far as onnx can tell."""
    inferred = imported("onnx").shape_inference.infer_shapes(model)
    for name in ("value_info", "output"):
        own = getattr(model.graph, name)
        del own[:]
        own.extend(getattr(inferred.graph, name))


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
        found[value.name] = [dim.dim_value if dim.dim_value > 0 else None for dim in dims]
    return found


def _tensor(
    initializer: Any, use: Weight | None, *, is_reader: bool, points: Mapping[str, Any]
) -> StoredTensor:
    onnx = imported("onnx")
    shape, count = tuple(initializer.dims), None
    if len(shape) > _MOST_AXES or min(shape, default=0) < 0 or prod(shape) >= _LARGEST_TENSOR:
        raise ValueError(f"{initializer.name!r:.60} of shape {list(shape)[:8]}")
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


def main(path: Path) -> None:
    """Write what is in a file: a line of JSON, and once more with its multiply-adds."""
    size = path.stat().st_size
    bound_memory(_MEMORY + _COPIES * size)
    bound_work(_SECONDS + size / _BYTES_A_SECOND)
    try:
        with _named(path):
            model = _load(path)
            _write(asdict(_inspect(path, model)))
    except ArtifactError as error:
        names = ("operation", "subject", "given", "expected", "remedy")
        _write({"error": {name: getattr(error, name) for name in names}})
        return
    bound_work(_SHAPE_SECONDS)
    with suppress(Exception):
        _infer_shapes(model)
        _write(asdict(_inspect(path, model)))


def _write(values: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
