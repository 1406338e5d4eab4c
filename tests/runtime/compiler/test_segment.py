"""Segments: memory is planned once, and nothing is written outside of it."""

import threading

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from one_node import CASES, add, affine, given, linear, relu
from torch import nn

from secateur import models
from secateur.errors import KernelError
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.graph import Graph, Node, NodeKind
from secateur.runtime.compiler.packing import Packs
from secateur.runtime.compiler.segment import Segment
from secateur.runtime.kernels import kernels, library
from secateur.runtime.kernels.structs import Layout

pytestmark = [
    pytest.mark.skipif(not library.available(), reason="no native kernels here"),
    pytest.mark.usefixtures("each_isa"),
]


def segment(graph: Graph, layout: Layout = Layout.PLAIN, batch: int = 8) -> Segment:
    nodes = [node for node in graph.nodes[1:] if node.kind is not NodeKind.RESHAPE]
    return Segment(nodes, [nodes[-1]], layout=layout, batch=batch, threads=1, packs=Packs())


def graph_of(net: nn.Module, *shape: int) -> Graph:
    return folded(capture(net.eval(), torch.zeros(2, *shape)))


@pytest.mark.parametrize("layout", list(Layout), ids=str)
@pytest.mark.parametrize("name", [name for name in CASES if name != "reshape"])
def test_every_kind_of_node_is_torchs(name: str, layout: Layout, close) -> None:
    case = CASES[name]
    made = Segment([case.node], [case.node], layout=layout, batch=8, threads=1, packs=Packs())
    for batch in (1, 8, 19):
        inputs = case.inputs(batch)
        close(made.run(inputs)[0], case.expected(inputs))


def a_graph(draw: st.DrawFn) -> tuple[list[Node], list[Node]]:
    """Nodes on vectors of 3 or 5 numbers that read whatever was made before, and some outputs."""
    values = [given(3), given(5)]
    for _ in range(draw(st.integers(1, 12))):
        value = draw(st.sampled_from(values))
        kind = draw(st.sampled_from(["linear", "relu", "add", "affine"]))
        if kind == "linear":
            values.append(linear(value, draw(st.sampled_from([3, 5])), relu=draw(st.booleans())))
        elif kind == "add":
            same = [other for other in values if other.shape == value.shape]
            values.append(add(value, draw(st.sampled_from(same))))
        else:
            values.append(relu(value) if kind == "relu" else affine(value))
    nodes = values[2:]
    read = {value for node in nodes for value in node.inputs}
    return nodes, [node for node in nodes if node not in read or draw(st.booleans())]


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@hypothesis.given(st.data())
def test_a_value_stays_until_all_have_read_it(data: st.DataObject) -> None:
    torch.manual_seed(0)
    nodes, outputs = a_graph(data.draw)
    dense = TorchSegment(nodes, outputs)
    inputs = [torch.randn(9, *node.sizes) for node in dense.reads]
    for layout in Layout:
        made = Segment(nodes, outputs, layout=layout, batch=9, threads=1, packs=Packs())
        assert made.reads == dense.reads
        torch.testing.assert_close(made.run(inputs), dense.run(inputs), rtol=1e-4, atol=1e-4)


def test_no_memory_is_taken_from_the_second_call_on() -> None:
    made = segment(graph_of(models.build("conv4", (3, 25, 25), 5), 3, 25, 25))
    inputs = torch.randn(3, 3, 25, 25)
    first = made.run([inputs])[0]
    (workspace,) = made._free[3]
    second = made.run([inputs])[0]
    assert made._free[3] == [workspace]
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()


def test_few_sizes_of_the_batch_are_kept() -> None:
    made = segment(graph_of(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)), 3))
    for batch in range(1, 12):
        made.run([torch.randn(batch, 3)])
    assert len(made._free) <= 4
    assert 11 in made._free


@pytest.mark.parametrize("layout", list(Layout), ids=str)
def test_a_large_batch_goes_through_in_parts(layout: Layout, exact, close) -> None:
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 1))
    made = segment(graph_of(net, 2, 6, 6), layout)
    lanes = kernels.lanes()
    made._largest = lanes
    batch = 3 * lanes - 3
    inputs = torch.randn(batch, 2, 6, 6)
    close(made.run([inputs])[0], exact(net, inputs))
    part = lanes if layout else batch // 3  # whole tiles of lanes, or three even parts
    assert [work.task.part for work in made._free[part]] == [part]


def test_inputs_that_are_not_contiguous() -> None:
    made = segment(graph_of(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)), 3))
    inputs = torch.randn(3, 4).t()
    assert torch.equal(made.run([inputs])[0], made.run([inputs.contiguous()])[0])


def test_threads_do_not_share_memory(exact, close) -> None:
    net = models.build("lenet-5", (1, 28, 28), 10)
    made = segment(graph_of(net, 1, 28, 28))
    inputs = [torch.randn(4, 1, 28, 28) for _ in range(4)]
    expected = [exact(net, each) for each in inputs]
    start = threading.Barrier(len(inputs))
    found: list[list[torch.Tensor]] = [[] for _ in inputs]

    def go(number: int) -> None:
        start.wait()
        found[number] = [made.run([inputs[number]])[0] for _ in range(20)]

    workers = [threading.Thread(target=go, args=(number,)) for number in range(len(inputs))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for results, wanted in zip(found, expected, strict=True):
        assert len(results) == 20
        for result in results:
            close(result, wanted)


def test_what_the_kernels_refuse_is_an_error_with_a_name() -> None:
    made = segment(graph_of(nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)), 3))
    made._ops[1].input = 99
    with pytest.raises(KernelError, match="op 1"):
        made.run([torch.randn(2, 3)])


def test_slots_hold_what_the_layout_needs() -> None:
    made = segment(graph_of(models.build("conv4", (3, 25, 25), 5), 3, 25, 25), Layout.LANES)
    task = made._workspace(8, 3).task
    slots = [task.buffers[place] for place in range(2, task.n_buffers)]
    assert [slot.step for slot in slots] == [kernels.lane_floats(size, 8) for size in made._slots]
    assert [slot.count for slot in slots] == [slot.step for slot in slots]
