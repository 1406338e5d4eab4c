"""Plans: every reference net, on every backend, equals torch in float64."""

import itertools
import weakref
from collections.abc import Sequence

import pytest
import torch
from one_node import add, called, given, linear, relu
from torch import Tensor, nn

from secateur import models
from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.choice import BACKENDS, CSR, FOLDED, LAYERS, ONNX, TORCH
from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph, Node, NodeKind
from secateur.runtime.compiler.plan import Plan, Side, plan
from secateur.runtime.compiler.planner import Planner
from secateur.runtime.kernels import library

HERE = [
    name
    for name in BACKENDS
    if (library.available() or name in (ONNX, FOLDED, CSR)) and (onnx.available() or name != ONNX)
    if name not in (TORCH, LAYERS)
]
native = pytest.mark.skipif(not library.available(), reason="no native kernels here")
NETS = [
    ("lenet-300-100", (1, 12, 12), 0.9),
    ("lenet-5", (1, 28, 28), 0.9),
    ("conv4", (3, 25, 25), 0.0),
    ("conv4", (3, 25, 25), 0.95),
    ("conv4", (2, 11, 13), 0.8),
]
# ResNet-56 and VGG-19 are made of the same layers as these, only of more of them.
LARGE_NETS = [("resnet20", (3, 17, 15), 0.9), ("vgg16-bn", (3, 32, 32), 0.9)]
each_isa = pytest.mark.usefixtures("each_isa")


def planner(net: nn.Module, *shape: int) -> Planner:
    return Planner(folded(capture(net, torch.zeros(2, *shape))), threads=1, seconds=0)


@each_isa
@pytest.mark.parametrize(("name", "shape", "share"), NETS)
def test_reference_nets(name, shape, share, sparsified, exact, close) -> None:
    assert_exact(name, shape, share, (1, 3, 40), sparsified, exact, close)


@pytest.mark.parametrize(("name", "shape", "share"), LARGE_NETS)
def test_large_reference_nets(name, shape, share, sparsified, exact, close) -> None:
    assert_exact(name, shape, share, (1, 9), sparsified, exact, close)


def assert_exact(name, shape, share, batches, sparsified, exact, close) -> None:
    net = sparsified(models.build(name, shape, 10), share)
    made = planner(net, *shape)
    assert NodeKind.TORCH not in {node.kind for node in made.graph.nodes}
    inputs = torch.randn(batches[-1], *shape)
    expected = exact(net, inputs)
    for backend in HERE:
        run = made.build(backend, batches[-1])
        for n in batches:
            with torch.no_grad():
                close(run(inputs[:n]), expected[:n])


@each_isa
def test_a_layer_of_zeros_gives_its_bias(sparsified) -> None:
    net = sparsified(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 4)), 1.0)
    made = planner(net, 2, 4, 4)
    for backend in HERE:
        given = made.build(backend, 8)(torch.randn(5, 2, 4, 4))
        assert torch.equal(given, net[2].bias.detach().expand(5, 4))


class Mixture(nn.Module):
    """What the kernels know beside what they do not, values that cross more than once."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.deep = nn.Conv2d(8, 8, 3, padding=2, dilation=2)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8 * 4 * 4, 6)
        self.gate = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        y = torch.nn.functional.gelu(self.grouped(x))
        z = self.deep(x) + y
        z = self.norm(torch.relu(z) + x)
        z = nn.functional.max_pool2d(z, 2)
        a = self.head(z.flatten(1))
        return self.gate(a) * torch.sigmoid(a) + a.view(-1, 2, 3).flatten(1)


@each_isa
@pytest.mark.parametrize("backend", HERE)
def test_a_mixture(backend, sparsified, exact, close) -> None:
    net = sparsified(Mixture(), 0.7)
    made = planner(net, 3, 8, 8)
    for n in (1, 8, 19):
        inputs = torch.randn(n, 3, 8, 8)
        with torch.no_grad():
            close(made.build(backend, 8)(inputs), exact(net, inputs))


@each_isa
@native
@pytest.mark.parametrize("batch", [1, 8])
def test_every_way_to_mix_sides(batch, sparsified, exact, close) -> None:
    net = sparsified(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 4, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        ),
        0.5,
    )
    made = planner(net, 2, 8, 8)
    layers = list(made.graph.layers())
    inputs = torch.randn(11, 2, 8, 8)
    expected = exact(net, inputs)
    for sides in itertools.product((Side.SPARSE, Side.DENSE), repeat=len(layers)):
        run = made.build("mixed", batch, dict(zip(layers, sides, strict=True)))
        with torch.no_grad():
            close(run(inputs), expected)


class Edges(nn.Module):
    """The output is a reshaped value, that is also read inside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        z = torch.relu(self.conv(y)) + y
        return (z + y).flatten(1)


@pytest.mark.parametrize("backend", HERE)
def test_the_output_may_be_reshaped(backend, sparsified, exact, close) -> None:
    net = sparsified(Edges(), 0.5)
    made = planner(net, 2, 5, 5)
    inputs = torch.randn(9, 2, 5, 5)
    with torch.no_grad():
        close(made.build(backend, 8)(inputs), exact(net, inputs))


@pytest.mark.parametrize("net", [nn.Identity(), nn.Flatten(), nn.ReLU()], ids=str)
def test_nets_of_next_to_nothing(net: nn.Module) -> None:
    made = planner(net, 2, 3, 3)
    inputs = torch.randn(4, 2, 3, 3)
    for backend in made.backends(4):
        assert torch.equal(made.build(backend, 4)(inputs), net(inputs))


Cuts = list[tuple[Side, list[Node], list[Node]]]


def cut(nodes: Sequence[Node], sides: dict[Node, Side]) -> tuple[Plan, Cuts]:
    """A plan that runs in torch whatever the side, and its segments: side, nodes, outputs."""
    cuts: Cuts = []

    def make(side: Side, inside: Sequence[Node], outputs: Sequence[Node]) -> TorchSegment:
        cuts.append((side, list(inside), list(outputs)))
        return TorchSegment(inside, outputs)

    return plan(Graph(tuple(nodes), (nodes[-1],)), sides, make), cuts


def test_it_is_cut_where_the_side_changes() -> None:
    source = given(4)
    first = linear(source, 4)
    middle = relu(first)
    second = linear(middle, 4)
    third = linear(second, 4)
    sides = {first: Side.SPARSE, second: Side.DENSE, third: Side.DENSE}
    _, cuts = cut([source, first, middle, second, third], sides)
    assert cuts == [
        (Side.SPARSE, [first, middle], [middle]),
        (Side.DENSE, [second, third], [third]),
    ]


def test_other_shapes_of_a_sum_that_goes_to_torch_are_made_there() -> None:
    source = given(4)
    layer = linear(source, 4)
    one, two = (called(torch.erf, layer, shape=(4,)) for _ in range(2))
    total = add(one, two)
    folded = Node(NodeKind.RESHAPE, "view", (total,), (2, 2))
    unfolded = Node(NodeKind.RESHAPE, "view", (folded,), (4,))
    last = called(torch.erf, unfolded, shape=(4,))
    nodes = [source, layer, one, two, total, folded, unfolded, last]
    made, cuts = cut(nodes, {layer: Side.SPARSE})
    assert [(side, inside) for side, inside, _ in cuts] == [
        (Side.SPARSE, [layer]),
        (Side.TORCH, [one, two, total, folded, unfolded, last]),
    ]
    x = torch.randn(3, 4)
    once = torch.nn.functional.linear(x, layer.matrix, layer.bias).erf()
    torch.testing.assert_close(made(x), (once + once).erf())


@pytest.mark.parametrize("side", [Side.SPARSE, Side.DENSE])
def test_what_follows_torch_is_on_the_side_of_the_layers(side: Side) -> None:
    source = given(4)
    strange = called(torch.erf, source, shape=(4,))
    middle = relu(strange)
    last = linear(middle, 3)
    _, cuts = cut([source, strange, middle, last], {last: side})
    assert cuts == [(Side.TORCH, [strange], [strange]), (side, [middle, last], [last])]


def test_a_run_without_a_layer_joins_whoever_stands_beside_it() -> None:
    source = given(4)
    first = linear(source, 4)
    strange = called(torch.erf, first, shape=(4,))
    between = relu(strange)
    last = called(torch.sin, between, shape=(4,))
    _, cuts = cut([source, first, strange, between, last], {first: Side.SPARSE})
    assert cuts == [
        (Side.SPARSE, [first], [first]),
        (Side.TORCH, [strange, between, last], [last]),
    ]


def test_rows_and_images_are_in_segments_of_their_own() -> None:
    source = given(6, 4)
    rows = linear(source, 4)
    vector = linear(Node(NodeKind.RESHAPE, "flatten", (rows,), (24,)), 3)
    _, cuts = cut(
        [source, rows, *vector.inputs, vector], dict.fromkeys((rows, vector), Side.SPARSE)
    )
    assert cuts == [(Side.SPARSE, [rows], [rows]), (Side.SPARSE, [vector], [vector])]


def test_several_inputs_and_outputs_come_and_go_in_order() -> None:
    left, right = given(4), given(4)
    first = linear(left, 4)
    total = add(first, right)

    def make(_side: Side, inside: Sequence[Node], outputs: Sequence[Node]) -> TorchSegment:
        return TorchSegment(inside, outputs)

    graph = Graph((left, right, first, total), (total, right, first))
    made = plan(graph, {first: Side.DENSE}, make)
    x, y = torch.randn(2, 3, 4)
    given_total, given_right, given_first = made(x, y)
    assert given_right is y
    assert torch.equal(given_total, given_first + y)


def test_the_kernels_run_no_reshape_and_others_see_its_shape() -> None:
    source = given(4)
    first = linear(source, 6)
    shaped = Node(NodeKind.RESHAPE, "view", (first,), (2, 3))
    strange = called(lambda x: x.transpose(1, 2), shaped, shape=(3, 2))
    made, cuts = cut([source, first, shaped, strange], {first: Side.SPARSE})
    assert cuts == [(Side.SPARSE, [first], [first]), (Side.TORCH, [strange], [strange])]
    assert made(torch.randn(5, 4)).shape == (5, 3, 2)


def test_what_no_later_segment_reads_is_freed() -> None:
    held, seen = [], []

    def first(x: Tensor) -> Tensor:
        made = x + 1
        held.append(weakref.ref(made))
        return made

    def last(x: Tensor) -> Tensor:
        seen.append([value() is not None for value in held])
        return x

    source = given(4)
    begin = called(first, source, shape=(4,))
    layer = linear(begin, 4)
    end = called(last, layer, shape=(4,))
    made, cuts = cut([source, begin, layer, end], {layer: Side.DENSE})
    made(torch.zeros(1, 4))
    assert len(cuts) == 3
    assert seen == [[False]]
