"""Structures: a network's own form, taken apart into tensors and put together again."""

from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

from secateur.runtime.compiler.structure import Structure, rebuilt


class Net(nn.Module):
    def forward(self, x: Tensor, y: Tensor | None = None, *, loud: bool = False) -> Any:
        return {"sum": x if y is None else x + y, "loud": None if loud else [x]}


Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Held:
    value: Tensor
    word: str


@pytest.mark.parametrize(
    "tree",
    [
        torch.ones(2),
        (torch.ones(1), [torch.zeros(1), None, "word"]),
        Pair(torch.ones(1), torch.zeros(1)),
        Held(torch.ones(1), "word"),
        OrderedDict(a=torch.ones(1)),
        UserDict(a=torch.ones(1), b={"c": torch.zeros(1)}),
    ],
    ids=lambda tree: type(tree).__name__,
)
def test_a_tree_is_rebuilt_of_its_own_types(tree: Any) -> None:
    made = rebuilt(tree, lambda tensor: tensor + 1)
    assert type(made) is type(tree)
    assert rebuilt(made, lambda tensor: float(tensor.sum())) == rebuilt(
        tree, lambda tensor: float((tensor + 1).sum())
    )


def test_arguments_are_the_same_ones_however_they_are_given() -> None:
    x, y = torch.randn(3, 4), torch.randn(3, 4)
    structure = Structure(Net(), {"y": y, "x": x})
    assert not structure.alone
    assert structure.batched == (True, True)
    for args, kwargs in (((x, y), {}), ((x,), {"y": y}), ((), {"y": y, "x": x, "loud": False})):
        taken = structure.taken(args, kwargs)
        assert taken is not None
        assert [one.data_ptr() for one in taken] == [y.data_ptr(), x.data_ptr()]
    assert structure.filled([y, x]) == ((), {"y": y, "x": x})


@pytest.mark.parametrize(
    "other",
    [
        {"x": torch.zeros(3, 4)},
        {"x": torch.zeros(3, 4), "y": torch.zeros(3, 4), "loud": True},
        {"x": torch.zeros(3, 4), "y": torch.zeros(3, 5)},
        {"x": torch.zeros(3, 4), "y": torch.zeros(2, 4)},
        {"x": torch.zeros(3, 4), "y": torch.zeros(3, 4).double()},
        {"x": torch.zeros(3, 4), "z": torch.zeros(3, 4)},
        {"x": torch.zeros(3, 4), "y": torch.zeros(3, 4).to_sparse()},
    ],
    ids=["fewer", "a flag", "a shape", "two batches", "a type", "a name", "a layout"],
)
def test_a_call_of_another_form_is_not_taken(other: dict[str, Any]) -> None:
    structure = Structure(Net(), (torch.zeros(2, 4), torch.zeros(2, 4)))
    assert structure.taken((), {"x": torch.zeros(5, 4), "y": torch.zeros(5, 4)}) is not None
    assert structure.taken((), other) is None


def test_outputs_have_the_networks_own_form() -> None:
    structure = Structure(Net(), (torch.zeros(2, 4), None))
    structure.gives(Net()(torch.zeros(2, 4)))
    one, other = torch.ones(2), torch.zeros(3)
    assert structure.shaped([one, other]) == {"sum": one, "loud": [other]}
    assert not structure.gives_one
    assert structure.problem == ""


def test_of_tensors_alone_it_is_the_same_network() -> None:
    structure = Structure(Net(), (torch.zeros(2, 4), torch.zeros(2, 4)))
    flat = structure.flat(Net())
    x, y = torch.randn(2, 2, 4)
    assert [one.tolist() for one in flat(x, y)] == [(x + y).tolist(), x.tolist()]


@pytest.mark.parametrize(
    ("example", "output", "problem"),
    [
        (torch.zeros(2, 4), (torch.zeros(2), 3), "its output holds numbers that are no tensors"),
        (torch.zeros(2, 4), None, "its output is a NoneType"),
        ((torch.zeros(2, 4), {1, 2}), torch.zeros(2), "it takes a set"),
        (pack_sequence([torch.zeros(2, 3)]), torch.zeros(2), "it takes a PackedSequence"),
        (torch.zeros(2, 4), torch.zeros(2).to_sparse(), "its output holds a tensor that is not"),
    ],
)
def test_what_cannot_be_filled_in_anew_is_a_problem(example, output, problem: str) -> None:
    structure = Structure(nn.Identity(), example)
    structure.gives(output)
    assert structure.problem.startswith(problem)
