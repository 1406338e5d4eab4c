"""Lowering: which op reads and writes which memory, and in which layout."""

from collections.abc import Sequence

import pytest
import torch
from one_node import add, affine, given, linear, pool, relu

from secateur import models
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.lowering import Lowering, features, root
from secateur.runtime.compiler.packing import Packs
from secateur.runtime.kernels import library
from secateur.runtime.kernels.structs import Layout, OpKind

pytestmark = pytest.mark.skipif(not library.available(), reason="no native kernels here")
PLAIN, LANES = Layout.PLAIN, Layout.LANES


def lowered(
    nodes: Sequence[Node], *writes: Node, reads: Sequence[Node], layout: Layout = PLAIN
) -> Lowering:
    return Lowering(nodes, reads, writes or [nodes[-1]], layout, 8, Packs())


def kinds(made: Lowering) -> list[str]:
    return [OpKind(op.kind).name for op in made.ops]


def layouts(made: Lowering) -> list[tuple[Layout, Layout]]:
    return [(Layout(op.in_layout), Layout(op.out_layout)) for op in made.ops]


def places(made: Lowering) -> list[tuple[int, int]]:
    return [(op.input, op.output) for op in made.ops]


def chain(source: Node, *outputs: int) -> list[Node]:
    nodes = [source]
    for size in outputs:
        nodes.append(linear(nodes[-1], size))
    return nodes[1:]


def test_what_is_read_comes_first_then_what_is_written_then_slots() -> None:
    left, right = given(4), given(4)
    first = linear(left, 4)
    total = add(right, first)
    last = linear(total, 2)
    made = lowered([first, total, last], total, last, reads=[left, right])
    assert places(made) == [(0, 4), (1, 2), (2, 3)]
    assert [op.other for op in made.ops] == [-1, 4, -1]


def test_slots_are_used_again() -> None:
    source = given(5)
    made = lowered(chain(source, 6, 7, 8, 4, 3), reads=[source])
    assert places(made) == [(0, 2), (2, 3), (3, 2), (2, 3), (3, 1)]
    assert made.slots == [8, 7]


def test_a_slot_grows_instead_of_a_second_one() -> None:
    source = given(5)
    made = lowered(chain(source, 1, 2, 9, 8, 3), reads=[source])
    assert made.slots == [9, 8]


@pytest.mark.parametrize(
    ("idle", "taken", "left"),
    [
        ((20, 10), 1, [20, 10, 3]),
        ((10, 20), 0, [10, 20, 3]),
        ((20, 4), 0, [20, 4, 3]),
        ((5, 8), 1, [5, 9, 3]),
        ((8, 5), 0, [9, 5, 3]),
    ],
)
def test_for_9_numbers_the_slot_is_taken_that_wastes_or_grows_least(idle, taken, left) -> None:
    source = given(2)
    one, two = (linear(source, size) for size in idle)
    total = add(linear(one, 3), linear(two, 3))
    after = linear(total, 9)
    nodes = [one, two, *total.inputs, total, after, linear(after, 1)]
    made = lowered(nodes, reads=[source])
    assert made.slots == left
    assert made.ops[5].output == made.ops[taken].output


def test_memory_is_used_again() -> None:
    net = models.build("resnet20", (3, 8, 8), 10).eval()
    graph = folded(capture(net, torch.zeros(2, 3, 8, 8)))
    nodes = [node for node in graph.nodes[1:] if node.kind is not NodeKind.RESHAPE]
    largest = max(features(node) for node in graph.nodes)
    alive_at_once = 3  # What a block reads, and its two convolutions.
    for layout in Layout:
        made = lowered(nodes, reads=[graph.sources[0]], layout=layout)
        assert sum(made.slots) <= (alive_at_once + 1) * largest


@pytest.mark.parametrize("glue", [relu, affine, lambda value: add(value, value)])
def test_what_nobody_reads_any_more_is_written_over(glue) -> None:
    source = given(4)
    first = linear(source, 3)
    middle = glue(first)
    made = lowered([first, middle, linear(middle, 2)], reads=[source])
    assert places(made) == [(0, 2), (2, 2), (2, 1)]


def test_a_pool_never_runs_in_place() -> None:
    source = given(2, 4, 4)
    first = relu(source)
    middle = pool(first)
    made = lowered([first, middle, relu(middle)], reads=[source])
    assert places(made) == [(0, 2), (2, 3), (3, 1)]


def test_a_value_that_two_read_outlives_the_first() -> None:
    source = given(4)
    shared = linear(source, 3)
    changed = relu(shared)
    total = add(changed, shared)
    made = lowered([shared, changed, total, linear(total, 2)], reads=[source])
    assert places(made)[:2] == [(0, 2), (2, 3)]
    assert (made.ops[2].input, made.ops[2].other, made.ops[2].output) == (3, 2, 3)


def test_a_slot_is_not_idle_before_the_last_has_read_it() -> None:
    source = given(4)
    shared, first, second = chain(source, 3, 3, 3)
    total = add(second, shared)
    made = lowered([shared, first, second, total, linear(total, 2)], reads=[source])
    assert places(made)[:3] == [(0, 2), (2, 3), (3, 4)]


def test_a_sum_may_lie_on_its_second_term() -> None:
    source = given(4)
    first, second = linear(source, 3), linear(source, 3)
    total = add(first, second)
    last = add(total, first)
    made = lowered([first, second, total, last, linear(last, 2)], reads=[source])
    assert (made.ops[2].input, made.ops[2].other, made.ops[2].output) == (2, 3, 3)


def test_memory_of_others_is_not_written_over() -> None:
    source = given(3)
    first = relu(source)
    made = lowered([first, linear(first, 2)], reads=[source])
    assert places(made) == [(0, 2), (2, 1)]


def test_an_output_that_is_read_inside_is_not_written_over() -> None:
    source = given(4)
    first = linear(source, 3)
    last = relu(first)
    made = lowered([first, last], first, last, reads=[source])
    assert places(made) == [(0, 1), (1, 2)]
    assert made.slots == []


def test_layers_change_the_layout_at_the_borders() -> None:
    source = given(4)
    first = linear(source, 3)
    middle = relu(first)
    made = lowered([first, middle, linear(middle, 2)], reads=[source], layout=LANES)
    assert kinds(made) == ["LINEAR", "RELU", "LINEAR"]
    assert layouts(made) == [(PLAIN, LANES), (LANES, LANES), (LANES, PLAIN)]
    assert made.slots == [3]


def test_what_is_no_layer_is_copied_at_the_borders() -> None:
    source = given(3)
    node = relu(source)
    made = lowered([node], reads=[source], layout=LANES)
    assert kinds(made) == ["COPY", "RELU", "COPY"]
    assert layouts(made) == [(PLAIN, LANES), (LANES, LANES), (LANES, PLAIN)]
    assert places(made) == [(0, 2), (2, 2), (2, 1)]


def test_an_input_is_copied_into_lanes_once() -> None:
    source = given(3)
    first, left = linear(source, 3), relu(source)
    total = add(source, left)
    last = linear(source, 2)
    made = lowered([first, left, total, last], first, total, last, reads=[source], layout=LANES)
    assert kinds(made) == ["LINEAR", "COPY", "RELU", "ADD", "COPY", "LINEAR"]
    assert layouts(made)[0] == (PLAIN, PLAIN)  # a layer reads it as it comes,
    assert layouts(made)[-1] == (LANES, PLAIN)  # and in lanes once it is there
    copied = made.ops[1].output
    assert [made.ops[place].input for place in (2, 3, 5)] == [copied] * 3


def test_an_output_that_is_read_inside_stays_in_lanes_and_is_copied_out() -> None:
    source = given(4)
    first = linear(source, 3)
    last = linear(first, 2)
    made = lowered([first, last], first, last, reads=[source], layout=LANES)
    assert kinds(made) == ["LINEAR", "COPY", "LINEAR"]
    assert layouts(made) == [(PLAIN, LANES), (LANES, PLAIN), (LANES, PLAIN)]
    assert places(made) == [(0, 3), (3, 1), (3, 2)]


def test_a_reshaped_value_has_no_memory_of_its_own() -> None:
    source = given(2, 4, 4)
    image = pool(source)
    flat = Node(NodeKind.RESHAPE, "flatten", (image,), (8,))
    again = Node(NodeKind.RESHAPE, "view", (flat,), (2, 4))
    assert root(again) is image
    assert features(again) == 8
    made = lowered([image, linear(flat, 3)], reads=[source])
    assert places(made) == [(0, 2), (2, 1)]
