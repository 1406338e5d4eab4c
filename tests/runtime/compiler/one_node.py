"""One node of every kind, and what torch gives for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.runtime.compiler.capture import read
from secateur.runtime.compiler.exporting import exported
from secateur.runtime.compiler.graph import Node, NodeKind


def given(*shape: int) -> Node:
    """A value that comes from outside."""
    return Node(NodeKind.INPUT, "input", (), shape)


def linear(value: Node, outputs: int, *, relu: bool = False, share: float = 0.5) -> Node:
    """A linear layer; a share of its weights is zero. Of sequences it takes row by row."""
    *before, inputs = value.sizes
    weight = torch.randn(outputs, inputs) * (torch.rand(outputs, inputs) >= share)
    bias = torch.randn(outputs)
    node = Node(NodeKind.LINEAR, "linear", (value,), (*before, outputs), weight, bias, relu=relu)
    node.rows = prod(before) if before else 0
    return node


def relu(value: Node) -> Node:
    return Node(NodeKind.RELU, "relu", (value,), value.shape, rows=value.rows)


def add(left: Node, right: Node) -> Node:
    rows = max(left.rows, right.rows)
    return Node(NodeKind.ADD, "add", (left, right), left.shape, rows=rows)


def affine(value: Node) -> Node:
    scale, shift = torch.randn(2, value.sizes[0])
    return Node(NodeKind.AFFINE, "norm", (value,), value.shape, scale, shift)


def pool(value: Node) -> Node:
    """The largest of 2 x 2."""
    channels, height, width = value.sizes
    options = {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}
    shape = (channels, height // 2, width // 2)
    return Node(NodeKind.MAX_POOL, "pool", (value,), shape, options=options)


def called(call: Callable[..., object], *values: Node, shape: tuple[int, ...] = (3,)) -> Node:
    """What only torch can run."""
    return Node(NodeKind.TORCH, call.__name__, values, shape, call=call, why="no kernel")


@dataclass
class Case:
    """A node, and the function that it stands for, to be run in float64."""

    node: Node
    function: Callable[..., Tensor]

    def inputs(self, batch: int) -> list[Tensor]:
        return [torch.randn(batch, *value.sizes) for value in self.node.inputs]

    def expected(self, inputs: list[Tensor]) -> Tensor:
        return self.function(*(value.double() for value in inputs))


def _conv(groups: int, *, relu: bool) -> Case:
    value, weight, bias = given(4, 7, 8), torch.randn(6, 4 // groups, 3, 2), torch.randn(6)
    weight *= torch.rand_like(weight) > 0.4
    options = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 3), "groups": groups}
    node = Node(NodeKind.CONV, "conv", (value,), (6, 4, 5), weight, bias, relu, options)

    def function(x: Tensor) -> Tensor:
        made = functional.conv2d(x, weight.double(), bias.double(), **options)
        return made.relu() if relu else made

    return Case(node, function)


def _linear(*, bias: bool, relu: bool, before: tuple[int, ...] = ()) -> Case:
    node = linear(given(*before, 9), 5, relu=relu)
    node.bias = node.bias if bias else None
    shift = node.bias.double() if bias else None

    def function(x: Tensor) -> Tensor:
        made = functional.linear(x, node.matrix.double(), shift)
        return made.relu() if relu else made

    return Case(node, function)


def _affine(*shape: int) -> Case:
    node = affine(given(*shape))
    mean, variance = torch.zeros(shape[0]).double(), torch.ones(shape[0]).double()
    scale, shift = (each.double() for each in node.scale_and_shift)
    return Case(node, lambda x: functional.batch_norm(x, mean, variance, scale, shift, eps=0))


def _max_pool() -> Case:
    options = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    node = Node(NodeKind.MAX_POOL, "pool", (given(3, 7, 6),), (3, 4, 4), options=options)
    return Case(node, lambda x: functional.max_pool2d(x, (3, 2), (2, 1), (1, 0), (1, 2)))


def _avg_pool(*, counted: bool) -> Case:
    options = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1), "count_padding": counted}
    node = Node(NodeKind.AVG_POOL, "pool", (given(3, 7, 6),), (3, 4, 7), options=options)

    def function(x: Tensor) -> Tensor:
        window = {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 1)}
        return functional.avg_pool2d(x, **window, count_include_pad=counted)

    return Case(node, function)


def _select() -> Case:
    options = {"stride": (2, 3), "before": 1}
    node = Node(NodeKind.SELECT, "shortcut", (given(2, 5, 7),), (5, 3, 3), options=options)
    return Case(node, lambda x: functional.pad(x[:, :, ::2, ::3], (0, 0, 0, 0, 1, 2)))


def _conv_3d() -> Case:
    weight, bias = torch.randn(4, 2, 2, 3, 2), torch.randn(4)
    weight *= torch.rand_like(weight) > 0.4
    options = {"stride": (2, 1, 2), "padding": (1, 1, 0), "dilation": (1, 2, 1), "groups": 2}
    node = Node(NodeKind.CONV_3D, "conv", (given(4, 5, 6, 7),), (4, 3, 4, 3), weight, bias)
    node.options = options
    wide = (weight.double(), bias.double())
    return Case(node, lambda x: functional.conv3d(x, *wide, **options))


def _conv_transpose(*, relu: bool) -> Case:
    weight, bias = torch.randn(4, 3, 3, 2), torch.randn(6)
    weight *= torch.rand_like(weight) > 0.4
    options = {"stride": (2, 3), "padding": (1, 0), "dilation": (2, 1), "output_padding": (1, 2)}
    whole = {**options, "groups": 2}

    def function(x: Tensor) -> Tensor:
        wide = (weight.double(), bias.double())
        made = functional.conv_transpose2d(x, *wide, **whole)
        return made.relu() if relu else made

    by_group = weight.view(2, 2, 3, 3, 2).transpose(1, 2).reshape(6, 2, 3, 2)
    shape = tuple(function(torch.zeros(1, 4, 5, 4).double()).shape[1:])
    node = Node(NodeKind.CONV_TRANSPOSE, "up", (given(4, 5, 4),), shape, by_group, bias, relu)
    node.options = whole
    return Case(node, function)


def joint(function: Callable[..., Tensor], *shapes: tuple[int, ...]) -> Case:
    """A node as it is captured."""

    class Net(nn.Module):
        def forward(self, *tensors: Tensor) -> Tensor:
            return function(*tensors)

    example = [torch.zeros(2, *shape) for shape in shapes]
    graph = read(exported(Net().eval(), example, is_flat=True))
    return Case(graph.nodes[-1], function)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu6": functional.relu6,
    "hardtanh": lambda x: functional.hardtanh(x, -0.7, 0.9),
    "clamp": lambda x: x.clamp(min=-0.5),
    "leaky relu": lambda x: functional.leaky_relu(x, 0.2),
    "elu": lambda x: functional.elu(x, 0.8),
    "sigmoid": torch.sigmoid,
    "hardsigmoid": functional.hardsigmoid,
    "silu": functional.silu,
    "hardswish": functional.hardswish,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
}


def _cases() -> dict[str, Case]:
    """Each kind of node at least once."""
    image = given(3, 4, 5)
    total = add(image, given(3, 4, 5))
    total.relu = True
    reshape = Node(NodeKind.RESHAPE, "flatten", (image,), (60,))
    return {
        "conv": _conv(1, relu=False),
        "conv in groups, relu": _conv(2, relu=True),
        "linear": _linear(bias=True, relu=False),
        "linear without bias, relu": _linear(bias=False, relu=True),
        "linear, row by row": _linear(bias=True, relu=True, before=(3, 2)),
        "relu": Case(relu(image), torch.relu),
        "add, relu": Case(total, lambda x, y: (x + y).relu()),
        "affine of images": _affine(3, 4, 5),
        "affine of vectors": _affine(6),
        "max pool": _max_pool(),
        "avg pool": _avg_pool(counted=False),
        "avg pool, padding counted": _avg_pool(counted=True),
        "select": _select(),
        "reshape": Case(reshape, lambda x: x.flatten(1)),
        "conv over volumes": _conv_3d(),
        "transposed conv": _conv_transpose(relu=False),
        "transposed conv, relu": _conv_transpose(relu=True),
        **{name: joint(function, (3, 4, 5)) for name, function in ACTIVATIONS.items()},
        "multiply": joint(torch.mul, (3, 4, 5), (3, 4, 5)),
        "scale": joint(torch.mul, (3, 4, 5), (3, 1, 1)),
        "scale, factors first": joint(torch.mul, (3, 1, 1), (3, 4, 5)),
        "concat": joint(lambda *x: torch.cat(x, 1), (3, 4, 5), (1, 4, 5), (2, 4, 5)),
        "concat of vectors": joint(lambda *x: torch.cat(x, -1), (3,), (4,)),
        "shuffle": joint(lambda x: functional.pixel_shuffle(x, 2), (8, 3, 4)),
    }


with torch.random.fork_rng():
    torch.manual_seed(0)
    CASES = _cases()
assert {case.node.kind for case in CASES.values()} == set(NodeKind) - {
    NodeKind.INPUT,
    NodeKind.TORCH,
}
