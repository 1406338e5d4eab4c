"""Graphs: which nodes there are, who reads whom, and how they are written."""

import torch
from one_node import add, given, linear, relu

from secateur.runtime.compiler.graph import Graph, Node, NodeKind


def test_only_what_the_output_needs_is_kept_and_in_order() -> None:
    source = given(4)
    left, unread, right = linear(source, 3), linear(source, 3), linear(source, 3)
    output = add(right, left)
    graph = Graph.reaching([source, left, unread, right, output], [source], [output])
    assert graph.nodes == (source, left, right, output)
    assert (graph.sources, graph.outputs) == ((source,), (output,))


def test_the_source_stays_though_nobody_reads_it() -> None:
    source, other = given(4), Node(NodeKind.TORCH, "constant", (), (4,))
    assert Graph.reaching([source, other], [source], [other]).nodes == (source, other)


def test_who_reads_a_value_twice_is_one_user() -> None:
    source = given(4)
    twice = add(source, source)
    output = add(twice, source)
    graph = Graph.reaching([source, twice, output], [source], [output])
    assert graph.users() == {source: [twice, output], twice: [output], output: []}


def test_layers_have_a_matrix() -> None:
    source = given(4)
    first = linear(source, 3)
    middle = relu(first)
    last = linear(middle, 2)
    graph = Graph.reaching([source, first, middle, last], [source], [last])
    assert list(graph.layers()) == [first, last]
    assert [node.is_layer for node in graph.nodes] == [False, True, False, True]


def test_zeros_are_counted() -> None:
    node = linear(given(4), 2)
    node.weight = torch.tensor([[0.0, -0.0, 1.0, 2.0], [0.0, 3.0, 4.0, float("nan")]])
    assert node.zeros == 3
    assert relu(node).zeros == 0


def test_a_width_is_that_of_the_last_axis_wherever_the_batch_is() -> None:
    node = Node(NodeKind.TORCH, "aten.transpose", (), None, dims=(7, None, 4))
    assert (node.width, given(7, 5).width, given().width) == (4, 5, None)
    assert Node(NodeKind.TORCH, "aten.size", (), None).width is None


def test_nodes_that_say_the_same_are_two() -> None:
    assert given(4) != given(4)


def test_nodes_are_written_with_shape_and_relu() -> None:
    assert repr(linear(given(4), 3, relu=True)) == "<linear linear 3 relu>"
    assert repr(given(3, 4, 5)) == "<input input 3x4x5>"
    assert repr(Node(NodeKind.TORCH, "aten.size", (), None)) == "<torch aten.size>"
