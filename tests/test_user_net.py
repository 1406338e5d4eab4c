"""No public verb changes anything of the network that it is given."""

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import secateur


class Counting(nn.Module):
    """Keeps a count and its last output, as nets of other people do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.calls = 0
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = self.inner(x)
        return self.last


def counting() -> nn.Module:
    return nn.Sequential(Counting(), nn.Dropout(0.5), nn.Linear(3, 2))


def norms() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    net[1].eval()
    return net


def tied() -> nn.Module:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.GELU(), nn.Linear(4, 4, bias=False))
    net[2].weight = net[0].weight
    return net


NETS = (counting, norms, tied)
EXAMPLE = torch.linspace(-1, 1, 8).reshape(2, 4)
VERBS = {
    "trace": lambda net, _: secateur.trace(net, EXAMPLE),
    "compact": lambda net, _: secateur.compact(net, secateur.Masks({}), EXAMPLE),
    "cost": lambda net, _: secateur.cost(net, EXAMPLE),
    "sparsity": lambda net, _: secateur.sparsity(net),
    "save": lambda net, path: secateur.save(net, path, example_inputs=EXAMPLE),
    "export_pt2": lambda net, path: secateur.export_pt2(net, EXAMPLE, path),
    "compile": lambda net, _: secateur.compile(net, EXAMPLE, seconds=0.01, batches=[2]),
}


def facts(net: nn.Module) -> list[object]:
    """Everything that a module holds, by identity, and every tensor's values."""
    found: list[object] = []
    for name, module in net.named_modules():
        held = {k: v for k, v in vars(module).items() if not isinstance(v, dict)}
        tables = {k: list(v.items()) for k, v in vars(module).items() if isinstance(v, dict)}
        found.append((name, [(k, id(v)) for k, v in held.items()]))
        found.append([(k, [(i, id(v)) for i, v in items]) for k, items in tables.items()])
    values = [*net.named_parameters(), *net.named_buffers()]
    found += [(name, one.detach().clone().tolist(), one.requires_grad) for name, one in values]
    found += [one.grad if one.grad is None else one.grad.tolist() for one in net.parameters()]
    return found


def chance() -> tuple[object, ...]:
    arrays = np.random.get_state()
    return random.getstate(), arrays[1].tolist(), arrays[2], torch.get_rng_state().tolist()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("make", NETS, ids=lambda make: make.__name__)
def test_nothing_of_the_net_changes(make, verb: str, tmp_path: Path) -> None:
    net = make()
    net(EXAMPLE).sum().backward()
    net.register_forward_hook(lambda *_: None)
    before, drawn, threads = facts(net), chance(), torch.get_num_threads()

    VERBS[verb](net, tmp_path / "file")

    assert facts(net) == before
    assert chance() == drawn
    assert torch.get_num_threads() == threads


def test_the_facts_tell_a_change() -> None:
    net = counting()
    before = facts(net)
    copied = copy.deepcopy(net.state_dict())
    net.eval()
    assert facts(net) != before
    net.train()
    net.load_state_dict(copied)
    assert facts(net) == before
    net[0].calls = 500
    assert facts(net) != before
