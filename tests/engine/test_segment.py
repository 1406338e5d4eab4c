"""Segments: memory is planned once, and nothing is written outside of it."""

import threading

import pytest
import torch
from torch import nn

from secateur import models
from secateur.engine.capture import capture
from secateur.engine.folding import folded
from secateur.engine.graph import Graph, Kind
from secateur.engine.lowering import features
from secateur.engine.packing import Packs
from secateur.engine.segment import Segment
from secateur.errors import KernelError
from secateur.native import kernels, library
from secateur.native.structs import Layout

pytestmark = pytest.mark.skipif(not library.available(), reason="no native kernels here")


def segment(graph: Graph, layout: Layout = Layout.PLAIN, batch: int = 8) -> Segment:
    nodes = [node for node in graph.nodes[1:] if node.kind is not Kind.RESHAPE]
    return Segment(nodes, [nodes[-1]], layout=layout, batch=batch, threads=1, packs=Packs())


def graph_of(net: nn.Module, *shape: int) -> Graph:
    return folded(capture(net.eval(), torch.zeros(2, *shape)))


def test_memory_is_used_again() -> None:
    graph = graph_of(models.build("resnet20", (3, 8, 8), 10), 3, 8, 8)
    largest = max(features(node) for node in graph.nodes)
    alive_at_once = 3  # What a block reads, and its two convolutions.
    for layout in Layout:
        made = segment(graph, layout)
        assert sum(slot.floats for slot in made._slots) <= (alive_at_once + 1) * largest


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
    made._largest = 8
    inputs = torch.randn(21, 2, 6, 6)
    close(made.run([inputs])[0], exact(net, inputs))
    assert [work.task.part for work in made._free[8 if layout else 7]] == [8 if layout else 7]


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
    assert [slot.step for slot in slots] == [kernels.lane_floats(s.floats, 8) for s in made._slots]
    assert [slot.count for slot in slots] == [slot.step for slot in slots]
