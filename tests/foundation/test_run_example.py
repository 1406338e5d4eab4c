"""Running a network on an example: any form of inputs, and nothing of the network is other."""

import random
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from secateur.errors import ModelError
from secateur.foundation.run_example import (
    arguments,
    as_it_was,
    batch_size,
    described,
    each_tensor,
    run_example,
    take_rows,
    tensors_in,
)

Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True)
class Graph:
    nodes: torch.Tensor
    name: str = "g"


ROWS = torch.arange(6.0).view(3, 2)
FORMS = {
    "tensor": ROWS,
    "list": [ROWS, None, 2],
    "namedtuple": Pair(ROWS, {"more": ROWS}),
    "dict": {"x": ROWS, "flag": True},
    "ordered": OrderedDict(x=ROWS),
    "encoding": UserDict(x=ROWS),
    "nested": ({"a": [ROWS, (ROWS,)]},),
    "dataclass": Graph(ROWS),
}


@pytest.mark.parametrize("form", FORMS)
def test_tensors_are_found_counted_and_taken_in_every_form(form):
    inputs = FORMS[form]
    assert all(one is ROWS for one in tensors_in(inputs))
    assert tensors_in(inputs)
    assert batch_size(inputs) == 3
    assert described(inputs).startswith("3x2")
    taken = take_rows(inputs, [2, 0, 2, 1])
    assert all(torch.equal(one, ROWS[[2, 0, 2, 1]]) for one in tensors_in(taken))


@pytest.mark.parametrize("form", FORMS)
def test_a_network_may_write_into_its_arguments(form):
    args, kwargs = arguments(FORMS[form])
    for tensor in tensors_in((args, kwargs)):
        tensor.zero_()
    assert ROWS.sum() == 15


def test_tuples_and_lists_are_arguments_and_mappings_are_named_ones():
    assert len(arguments(FORMS["list"])[0]) == 3
    assert arguments(FORMS["list"])[0][1:] == (None, 2)
    assert arguments(FORMS["encoding"])[1].keys() == {"x"}
    assert isinstance(arguments(FORMS["dataclass"])[0][0], Graph)


def test_a_packed_sequence_is_one_argument():
    packed = pack_sequence([torch.ones(2, 1), torch.ones(1, 1)])
    args, _ = arguments(packed)
    assert len(args) == 1
    assert isinstance(args[0], PackedSequence)
    assert isinstance(take_rows(packed, [0]), PackedSequence)


def test_containers_keep_their_kind_and_the_example_its_own():
    pair = each_tensor(FORMS["namedtuple"], torch.neg)
    assert type(pair) is Pair
    assert torch.equal(pair.right["more"], -ROWS)
    graph = each_tensor(FORMS["dataclass"], torch.neg)
    assert torch.equal(graph.nodes, -ROWS)
    assert FORMS["dataclass"].nodes is ROWS  # type: ignore[attr-defined]


class Rememberer(nn.Module):
    """Changes all that a forward can change."""

    def __init__(self):
        super().__init__()
        self.norm, self.seen, self.kept, self.last = nn.BatchNorm1d(2), 0, {}, None
        self.history, self.cache = [], torch.zeros(2)
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x):
        self.train()
        self.seen += 1
        self.kept["x"], self.last, self.fresh = x, x, 3
        self.history.append(x)
        self.cache += 1
        self.steps += 1
        self.register_buffer("late", x)
        self.extra = nn.Linear(1, 1)
        return self.norm(x) + torch.rand(1) + random.random() + np.random.rand()


def state_of(net):
    held = {name: repr(value) for name, value in vars(net).items()}
    return held, {name: one.clone() for name, one in net.state_dict().items()}


def test_a_network_is_what_it_was():
    net = Rememberer()
    net(ROWS)
    net.eval()
    held, tensors = state_of(net)
    chance = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    run_example(net, ROWS)
    after, values = state_of(net)
    assert after == held
    assert values.keys() == tensors.keys()
    assert all(torch.equal(values[name], tensors[name]) for name in tensors)
    assert torch.equal(torch.get_rng_state(), chance[0])
    assert random.getstate() == chance[1]
    assert np.random.get_state()[1].tolist() == chance[2]


def test_it_is_what_it_was_after_a_failure_too():
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(3, 1))
    with pytest.raises(ModelError, match=r"inputs of shape 3x2 \(RuntimeError: .*example inputs"):
        run_example(net, ROWS)
    assert net.training
    assert net[0].training


def test_a_buffer_that_did_not_change_is_not_written():
    net = nn.BatchNorm1d(2)
    version = net.running_mean._version
    run_example(net, ROWS)
    assert net.running_mean._version == version


@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    "build",
    [
        lambda: torch.jit.script(nn.BatchNorm1d(2)),
        nn.LazyBatchNorm1d,
        lambda: nn.BatchNorm1d(2).to("meta"),
    ],
)
def test_unusual_networks_pass_through(build):
    net = build()
    net.train()
    with as_it_was(net):
        net.eval()
    assert net.training


def test_named_results_of_operators_keep_their_names() -> None:
    found = each_tensor(torch.tensor([3.0, 5.0, 4.0]).topk(2), torch.neg)
    assert found.values.tolist() == [-5.0, -4.0]
    assert found.indices.tolist() == [-1, -2]
