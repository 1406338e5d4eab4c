"""Inspection: what is in a model file, layer by layer, without building the model."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

from secateur.artifact.manifest import Role, count_ranges, usual_role
from secateur.artifact.path import checked_path
from secateur.artifact.reader import Reader, reading
from secateur.artifact.tensors import count_zeros


@dataclass(frozen=True)
class Tensor:
    """One tensor of a model file.

    Attributes:
        name: Its name.
        role: Its role; empty for a parameter that is no prunable weight.
        dense_shape: Its shape before channels were taken out.
        shape: Its shape.
        kept: Along each axis that lost channels: how many stayed.
        zeros: Elements that are zero; None where they lie in another file.
        stored: Bytes in the file.
    """

    name: str
    role: Role
    dense_shape: tuple[int, ...]
    shape: tuple[int, ...]
    kept: dict[str, int]
    zeros: int | None
    stored: int


@dataclass(frozen=True)
class Layer:
    """A module and its own tensors.

    Attributes:
        name: Its name, empty for the network itself.
        kind: Its class, or the operator of an ONNX file; empty where the file does not tell.
        tensors: What it holds.
        macs: Multiply-adds of one example; None where the file does not tell.
        nonzero_macs: Those of them whose weight is not zero.
    """

    name: str
    kind: str
    tensors: tuple[Tensor, ...]
    macs: int | None
    nonzero_macs: int | None

    @property
    def weight(self) -> Tensor | None:
        """Its prunable weight, or else its largest tensor."""
        ranked = sorted(self.tensors, key=lambda t: (t.role not in _WEIGHTS, -prod(t.shape)))
        return ranked[0] if ranked else None

    @property
    def parameters(self) -> int:
        """Its parameters, zeros included."""
        return sum(prod(tensor.shape) for tensor in self.tensors if tensor.role not in _BUFFERS)

    @property
    def zeros(self) -> int | None:
        """The parameters that are zero."""
        return _sum(tensor.zeros for tensor in self.tensors if tensor.role not in _BUFFERS)

    @property
    def stored(self) -> int:
        """Bytes of its tensors in the file."""
        return sum(tensor.stored for tensor in self.tensors)


_WEIGHTS = ("conv", "linear")
_BUFFERS = ("buffer", "transient")


@dataclass(frozen=True)
class Inspection:
    """What is in a model file.

    Attributes:
        path: The file.
        kind: `secateur`, `safetensors` or `onnx`.
        checked: Whether every byte was checked against the SHA-256 in the file.
        bytes: Of the whole file.
        layers: Every module with tensors or multiply-adds of its own.
        tied: Further names of shared tensors.
        origin: Who made it: `source`, `run`, `metrics`, `masks`, `input`, as far as it tells.
    """

    path: str
    kind: str
    checked: bool
    bytes: int
    layers: tuple[Layer, ...]
    tied: dict[str, str] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors of all layers."""
        return tuple(tensor for layer in self.layers for tensor in layer.tensors)

    def totals(self) -> dict[str, int | None]:
        """Counts over the file: integers only, so that every share can be made of them.

        Returns:
            `parameters`, `zeros`, `dense_parameters` (before channels were taken out);
            `prunable`, `prunable_zeros`, `conv`, `conv_zeros` (weights as `sparsity` counts
            them); `macs`, `nonzero_macs`; `bytes`.
        """
        held = [tensor for tensor in self.tensors if tensor.role not in _BUFFERS]
        counts: dict[str, int | None] = {
            "parameters": sum(prod(tensor.shape) for tensor in held),
            "zeros": _sum(tensor.zeros for tensor in held),
            "dense_parameters": sum(prod(tensor.dense_shape) for tensor in held),
        }
        for name, roles in (("prunable", _WEIGHTS), ("conv", ("conv",))):
            weights = [tensor for tensor in held if tensor.role in roles]
            counts[name] = sum(prod(tensor.shape) for tensor in weights)
            counts[f"{name}_zeros"] = _sum(tensor.zeros for tensor in weights)
        told = [layer for layer in self.layers if layer.macs is not None]
        counts["macs"] = _sum(layer.macs for layer in told) if told else None
        counts["nonzero_macs"] = _sum(layer.nonzero_macs for layer in told) if told else None
        return counts | {"bytes": self.bytes}

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"totals": self.totals()}


def inspect(path: str | os.PathLike[str]) -> Inspection:
    """Look into a model file: ours, any other safetensors file, or ONNX.

    Nothing is built or run, and no other file is opened. In a file that is not ours, roles are
    read off the usual names.

    Args:
        path: The file; `.onnx` is read as ONNX, all else as safetensors.

    Raises:
        ArtifactError: The file is missing, damaged, hostile or too new.

    Example:
        >>> import tempfile
        >>> from torch import nn
        >>> from secateur.artifact.save import save
        >>> file = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> save(nn.Sequential(nn.Linear(4, 2)), file)
        >>> inspect(file).totals()["parameters"]
        10
    """
    place = checked_path(path, "reading a model file")
    if place.suffix.lower() == ".onnx":
        from secateur.artifact.inspect_onnx import inspect_onnx

        return inspect_onnx(place)
    with reading(path) as file:
        return _of_safetensors(file)


def _of_safetensors(file: Reader) -> Inspection:
    manifest = file.manifest
    tensors: dict[str, list[Tensor]] = {name: [] for name in manifest.layers}
    for name in file.names:
        tensors.setdefault(name.rpartition(".")[0], []).append(_tensor(file, name))
    layers = []
    for name, own in tensors.items():
        told = manifest.layers.get(name)
        layers.append(
            Layer(
                name,
                told.kind if told else "",
                tuple(sorted(own, key=lambda tensor: tensor.name)),
                told.macs if told else None,
                told.nonzero if told else None,
            )
        )
    kept = [count for count, _ in manifest.masks.values()]
    covered = [count for _, count in manifest.masks.values()]
    origin = {
        "source": manifest.source.model_dump() if manifest.source else None,
        "run": manifest.run,
        "metrics": manifest.metrics,
        "masks": {"kept": sum(kept), "total": sum(covered)} if covered else None,
        "input": manifest.input,
    }
    return Inspection(
        str(file.container.path),
        "secateur" if file.is_ours else "safetensors",
        file.container.is_signed,
        file.container.size,
        tuple(layers if manifest.layers else sorted(layers, key=lambda layer: layer.name)),
        dict(manifest.tied),
        {name: value for name, value in origin.items() if value},
    )


def _tensor(file: Reader, name: str) -> Tensor:
    shape = file.shape(name)
    slots = file.manifest.slots.get(name, {})
    return Tensor(
        name,
        file.manifest.roles.get(name, usual_role(name, shape)),
        tuple(file.manifest.dense.get(name, shape)),
        shape,
        {axis: count_ranges(file.manifest.kept[number]) for axis, number in slots.items()},
        _zeros(file, name),
        file.container.entries[name].size,
    )


def _zeros(file: Reader, name: str) -> int:
    coded = file.manifest.coded.get(name)
    return coded.zeros if coded else count_zeros(file.dtype(name), file.words(name))


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum, or None if a part is not known."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
