"""An inspection: the tensors and layers that a model file holds, with their exact counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from math import prod
from typing import Any

from secateur.artifact.manifest import Role


@dataclass(frozen=True)
class StoredTensor:
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
class StoredLayer:
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
    tensors: tuple[StoredTensor, ...]
    macs: int | None
    nonzero_macs: int | None

    @property
    def weight(self) -> StoredTensor | None:
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
        skipped: Modules that were taken out with residual branches, and how many parameters each
            had in the dense network.
        origin: Who made it: `source`, `run`, `metrics`, `masks`, `input`, as far as it tells.
    """

    path: str
    kind: str
    checked: bool
    bytes: int
    layers: tuple[StoredLayer, ...]
    tied: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)

    @property
    def tensors(self) -> tuple[StoredTensor, ...]:
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
            "dense_parameters": sum(prod(tensor.dense_shape) for tensor in held)
            + sum(self.skipped.values()),
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


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum, or None if a part is not known."""
    known = list(values)
    return None if None in known else sum(value for value in known if value is not None)
