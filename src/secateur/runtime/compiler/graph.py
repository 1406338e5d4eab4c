"""Graph: a network in evaluation mode as a list of operations on batches of examples.

A *node* makes one value from others. What the native plan knows has a kind of its own; all the
rest is `TORCH`, a function that PyTorch calls. Shapes leave the batch axis out.

A layer on sequences `[N, T, F]` works *row by row*: it looks at the last axis alone, whatever lies
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from torch import Tensor


class NodeKind(StrEnum):
    """What a node does. All but the last are known to the native plan."""

    INPUT = "input"
    CONV = "conv"
    CONV_3D = "conv-3d"
    CONV_TRANSPOSE = "conv-transpose"
    LINEAR = "linear"
    RELU = "relu"
    ADD = "add"
    AFFINE = "affine"
    """A scale and a shift for each channel: a batch norm that no layer before it takes in."""
    MAX_POOL = "max-pool"
    AVG_POOL = "avg-pool"
    SELECT = "select"
    """Every n-th row and column, between channels of zeros: a shortcut without parameters."""
    RESHAPE = "reshape"
    """The same elements in the same order, under another shape."""
    ACTIVATION = "activation"
    """A function of each number by itself."""
    MULTIPLY = "multiply"
    SCALE = "scale"
    """Each channel of an example times a number of its own, the second input."""
    CONCAT = "concat"
    """The channels of all inputs, one after the other."""
    SHUFFLE = "shuffle"
    """Channels that become rows and columns (pixel shuffle)."""
    TORCH = "torch"


@dataclass(frozen=True)
class Read:
    """In an operator's arguments: the value of the input of this number."""

    place: int


@dataclass(eq=False)
class Node:
    """One operation and the value that it makes. Two nodes are equal if they are the same object.

    Attributes:
        kind: What it does.
        name: For people: the module's name, `conv1`, or the operator's, `aten.gelu`.
        inputs: The nodes whose values it reads, in order.
        shape: Of one example of its value, in fp32 with the batch axis in front; None for any
            other value: a number, a tuple, a tensor of integers or with another axis in front.
        weight: Of a convolution or linear layer; of an AFFINE the scales.
        bias: The bias, or the shifts; None for none.
        relu: Whether negative results become zero.
        options: Convolutions: `stride`, `padding`, `dilation` (one number an axis), `groups`, and
            `output_padding` of a transposed one, whose weight is `[out, in / groups, ...]`, too;
            pools: `kernel`, `stride`, `padding`, `dilation` (pairs), `count_padding`; SELECT:
            `stride` and `before`, the channels of zeros in front; ACTIVATION: `function`, and
            `numbers`, the two that it takes, if it does; SHUFFLE: `stride`; all that are made of
            one operator, and TORCH: `operator`, and `given`, its arguments by name, with a `Read`
            for each input.
        call: Of what is made of one operator, as TORCH: from the values of `inputs` to the value.
        why: Of TORCH: why the native plan does not have it.
        rows: How many rows there are in one example of the batch that was captured, where it works
            row by row; 0 elsewhere.
        lead: Where it works row by row: the number of its rows as a formula of the batch's size.
        dims: All axes of a value in fp32, None for a size that is not fixed.
    """

    kind: NodeKind
    name: str
    inputs: tuple[Node, ...]
    shape: tuple[int, ...] | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    relu: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    call: Callable[..., Any] | None = None
    why: str = ""
    rows: int = 0
    lead: str = ""
    dims: tuple[int | None, ...] | None = None

    @property
    def is_layer(self) -> bool:
        """Whether it multiplies by a weight matrix, so that zeros in it may save time."""
        return self.kind in _LAYERS

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of one example, of a value that is a batch."""
        if self.shape is None:
            raise LookupError(f"{self.name} is no batch of numbers")
        return self.shape

    @property
    def width(self) -> int | None:
        """The size of the last axis; None if it has none that is fixed."""
        axes = self.dims if self.shape is None else self.shape
        return axes[-1] if axes else None

    @property
    def matrix(self) -> Tensor:
        """The weight of a layer."""
        if self.weight is None:
            raise LookupError(f"{self.name} has no weight")
        return self.weight

    @property
    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """For each channel, of an AFFINE."""
        if self.bias is None:
            raise LookupError(f"{self.name} has no shifts")
        return self.matrix, self.bias

    @property
    def zeros(self) -> int:
        """How many elements of its weight are zero."""
        return 0 if self.weight is None else int((self.weight == 0).sum())

    def __repr__(self) -> str:
        shape = "" if self.shape is None else " " + "x".join(map(str, self.shape))
        return f"<{self.kind} {self.name}{shape}{' relu' if self.relu else ''}>"


JOINTS = (
    NodeKind.ACTIVATION,
    NodeKind.MULTIPLY,
    NodeKind.SCALE,
    NodeKind.CONCAT,
    NodeKind.SHUFFLE,
)
"""Kinds that keep the operator that they are made of."""

_LAYERS = (NodeKind.CONV, NodeKind.LINEAR, NodeKind.CONV_3D, NodeKind.CONV_TRANSPOSE)


@dataclass(frozen=True)
class Graph:
    """The nodes in an order in which each comes after its inputs.

    Attributes:
        nodes: All of them; the inputs come first.
        outputs: The nodes whose values the network gives, in order.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Node, ...]

    @classmethod
    def reaching(
        cls, nodes: Iterable[Node], sources: Sequence[Node], outputs: Sequence[Node]
    ) -> Graph:
        """Of `nodes`, in order, the sources and those that the outputs need."""
        needed = set(sources)
        stack = list(outputs)
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack += node.inputs
        rest = [node for node in nodes if node in needed and node not in sources]
        return cls((*sources, *rest), tuple(outputs))

    @property
    def sources(self) -> tuple[Node, ...]:
        """The nodes of the network's inputs."""
        return tuple(node for node in self.nodes if node.kind is NodeKind.INPUT)

    @property
    def inner(self) -> tuple[Node, ...]:
        """The nodes that compute something: all but the inputs."""
        return tuple(node for node in self.nodes if node.kind is not NodeKind.INPUT)

    def users(self) -> dict[Node, list[Node]]:
        """Node -> those that read its value; outputs are read by the caller as well."""
        found: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for read in dict.fromkeys(node.inputs):
                found[read].append(node)
        return found

    def layers(self) -> Iterator[Node]:
        """The convolutions and linear layers."""
        return (node for node in self.nodes if node.is_layer)
