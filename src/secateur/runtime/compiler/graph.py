"""Graph: a network in evaluation mode as a list of operations on batches of examples.

A *node* makes one value from others. What the native plan knows has a kind of its own; all the
rest is `TORCH`, a function that PyTorch calls. Shapes leave the batch axis out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from torch import Tensor


class NodeKind(StrEnum):
    """What a node does. All but the last are known to the native plan."""

    INPUT = "input"
    CONV = "conv"
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
    TORCH = "torch"


@dataclass(eq=False)
class Node:
    """One operation and the value that it makes. Two nodes are equal if they are the same object.

    Attributes:
        kind: What it does.
        name: For people: the module's name, `conv1`, or the operator's, `aten.gelu`.
        inputs: The nodes whose values it reads, in order.
        shape: Of one example of its value, in fp32; None for any other value: a number, a tuple.
        weight: Of a convolution or linear layer; of an AFFINE the scales.
        bias: The bias, or the shifts; None for none.
        relu: Whether negative results become zero.
        options: Convolutions: `stride`, `padding`, `dilation` (pairs), `groups`; pools: `kernel`,
            `stride`, `padding`, `dilation` (pairs), `count_padding`; SELECT: `stride` and `before`,
            the channels of zeros in front.
        call: Of TORCH: from the values of `inputs` to the value.
        why: Of TORCH: why the native plan does not have it.
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

    @property
    def is_layer(self) -> bool:
        """Whether it multiplies by a weight matrix, so that zeros in it may save time."""
        return self.kind in (NodeKind.CONV, NodeKind.LINEAR)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of one example, of a value that is a batch."""
        if self.shape is None:
            raise LookupError(f"{self.name} is no batch of numbers")
        return self.shape

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


@dataclass(frozen=True)
class Graph:
    """The nodes in an order in which each comes after its inputs.

    Attributes:
        nodes: All of them; the first is the input.
        output: The node whose value is the network's.
    """

    nodes: tuple[Node, ...]
    output: Node

    @classmethod
    def reaching(cls, nodes: Iterable[Node], source: Node, output: Node) -> Graph:
        """Of `nodes`, in order, the source and those that the output needs."""
        needed = {source}
        stack = [output]
        while stack:
            node = stack.pop()
            if node not in needed:
                needed.add(node)
                stack += node.inputs
        return cls(tuple(node for node in nodes if node in needed), output)

    @property
    def source(self) -> Node:
        """The node of the network's input."""
        return self.nodes[0]

    def users(self) -> dict[Node, list[Node]]:
        """Node -> those that read its value; the output is read by the caller as well."""
        found: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for read in dict.fromkeys(node.inputs):
                found[read].append(node)
        return found

    def layers(self) -> Iterator[Node]:
        """The convolutions and linear layers."""
        return (node for node in self.nodes if node.is_layer)
