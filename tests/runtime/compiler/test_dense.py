"""Dense segments: torch's numbers, and nothing is held for longer than it is read."""

import weakref

import pytest
import torch
from one_node import CASES, Case, add, called, given, linear, relu
from torch import Tensor

from secateur.runtime.compiler.dense import TorchSegment
from secateur.runtime.compiler.graph import Node


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_of_node_is_torchs(case: Case, batch: int, close) -> None:
    inputs = case.inputs(batch)
    before = [value.clone() for value in inputs]
    (made,) = TorchSegment([case.node], [case.node]).run(inputs)
    close(made, case.expected(inputs))
    assert all(torch.equal(*pair) for pair in zip(inputs, before, strict=True))


def test_it_reads_what_it_does_not_make_and_writes_what_is_wanted() -> None:
    left, right = given(4), given(3)
    first = linear(left, 3)
    total = add(first, right)
    last = add(total, first)
    segment = TorchSegment([first, total, last], [last, first])
    assert (segment.reads, segment.writes) == ((left, right), (last, first))
    x, y = torch.randn(2, 4), torch.randn(2, 3)
    made, first_made = segment.run([x, y])
    assert torch.equal(first_made, torch.nn.functional.linear(x, first.matrix, first.bias))
    assert torch.equal(made, first_made + y + first_made)


class Witness:
    """Functions that tell which of the tensors made before them are still there."""

    def __init__(self) -> None:
        self.made: list[weakref.ref[Tensor]] = []
        self.seen: list[list[bool]] = []

    def node(self, *values: Node) -> Node:
        def step(*tensors: Tensor) -> Tensor:
            self.seen.append([tensor() is not None for tensor in self.made])
            result = sum(tensors) + 1
            self.made.append(weakref.ref(result))
            return result  # type: ignore[return-value]

        return called(step, *values)


def test_a_value_is_freed_when_the_last_who_reads_it_has_run() -> None:
    witness = Witness()
    first = witness.node(given(3))
    second = witness.node(first)
    third = witness.node(second, first)
    fourth = witness.node(third)
    segment = TorchSegment([first, second, third, fourth], [fourth])
    (made,) = segment.run([torch.zeros(1, 3)])
    assert witness.seen == [[], [True], [True, True], [False, False, True]]
    assert [tensor() is not None for tensor in witness.made] == [False, False, False, True]
    assert made.tolist() == [[5.0] * 3]  # 1, 2, 1 + 2 + 1, and 1 more


def test_an_output_that_is_read_inside_is_kept() -> None:
    witness = Witness()
    first = witness.node(given(3))
    second = witness.node(first)
    third = witness.node(second)
    made = TorchSegment([first, second, third], [first, third]).run([torch.zeros(1, 3)])
    assert witness.seen[-1] == [True, True]
    assert [value[0, 0].item() for value in made] == [1.0, 3.0]


@pytest.mark.parametrize("csr", [False, True])
def test_no_graph_for_gradients_comes_out(csr: bool) -> None:
    source = given(4)
    first = linear(source, 3, relu=True)
    last = relu(first)
    segment = TorchSegment([first, last], [first, last], csr=csr)
    for value in segment.run([torch.randn(2, 4, requires_grad=True)]):
        assert not value.requires_grad
        assert value.grad_fn is None
        assert not value.is_inference()  # a net that trains may take it


@pytest.mark.parametrize("name", ["linear", "linear without bias, relu"])
@pytest.mark.parametrize("batch", [1, 5])
def test_csr_gives_the_same(name: str, batch: int, close) -> None:
    case = CASES[name]
    inputs = case.inputs(batch)
    (made,) = TorchSegment([case.node], [case.node], csr=True).run(inputs)
    close(made, case.expected(inputs))


def test_csr_holds_no_zeros() -> None:
    node = linear(given(3), 2)
    node.weight = torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    inputs = torch.tensor([[1.0, torch.nan, 1.0]])
    (dense,), (sparse,) = (
        TorchSegment([node], [node], csr=csr).run([inputs]) for csr in (False, True)
    )
    assert dense.isnan().all()  # 0 x NaN
    assert sparse.isfinite().all()
