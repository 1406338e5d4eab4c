"""The peers' methods: each cuts a net, and says what it took of the budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from fasterai_peer import is_there, sparsified
from torch import Tensor, nn
from torch.nn.utils import prune

from secateur.measure.cost import cost
from training import Split, gradients, train

TRIES = 9
RATIOS = (0.02, 0.98)


@dataclass(frozen=True)
class Peer:
    """A method of a peer.

    Attributes:
        structured: Whether it takes channels out.
        epochs: Of the budget, that go before the cut.
        cut: Net, example, training split, level and seed -> the net that is retrained.
    """

    structured: bool
    epochs: int
    cut: Callable[[nn.Module, Tensor, Split, float, int], nn.Module]


def weights(net: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Every weight that ours prunes, too."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            yield module, "weight"


def global_magnitude(net: nn.Module, _: Tensor, __: Split, level: float, ___: int) -> nn.Module:
    """`torch.nn.utils.prune`, whose masks hold through the retraining."""
    prune.global_unstructured(list(weights(net)), prune.L1Unstructured, amount=level)
    return net


def finish(net: nn.Module) -> nn.Module:
    """Make the masks of `torch.nn.utils.prune` the weights' own zeros."""
    for module, name in weights(net):
        if prune.is_pruned(module) and hasattr(module, f"{name}_mask"):
            prune.remove(module, name)
    return net


def to_macs(
    net: nn.Module, example: Tensor, share: float, make: Callable[[nn.Module, float], Any]
) -> nn.Module:
    """The largest net whose multiply-adds are at most a share of the whole one's."""
    limit = share * cost(net, example).macs
    low, high = RATIOS
    best: nn.Module | None = None
    for _ in range(TRIES):
        ratio = (low + high) / 2
        made = copied(net)
        make(made, ratio).step()
        made.zero_grad()
        if cost(made, example).macs <= limit:
            best, high = made, ratio
        else:
            low = ratio
    if best is None:
        raise SystemExit(f"no ratio of channels reaches {share} of the multiply-adds")
    return best


def copied(net: nn.Module) -> nn.Module:
    """A copy, gradients included."""
    made = copy.deepcopy(net)
    for mine, its in zip(made.parameters(), net.parameters(), strict=True):
        mine.grad = None if its.grad is None else its.grad.clone()
    return made


def torch_pruning_by(
    importance: Callable[[], Any],
    pruner: Any = None,
    sparse_epochs: int = 0,
    needs_gradients: bool = False,
) -> Peer:
    """A method of Torch-Pruning, ranked over all layers together."""
    kind = pruner or torch_pruning.pruner.BasePruner

    def cut(net: nn.Module, example: Tensor, split: Split, share: float, seed: int) -> nn.Module:
        def make(one: nn.Module, ratio: float) -> Any:
            return kind(
                one,
                example,
                importance=importance(),
                global_pruning=True,
                pruning_ratio=ratio,
                ignored_layers=[one.classifier],
            )

        if sparse_epochs:
            learner = make(net, 0.5)
            train(net, split, sparse_epochs, seed=seed, penalize=learner.regularize)
        if needs_gradients:
            gradients(net, split)
        net.eval()
        return to_macs(net, example, share, make)

    return Peer(True, sparse_epochs + needs_gradients, cut)


_importance = torch_pruning.importance
PEERS: Mapping[str, Peer] = {
    "torch.nn.utils.prune global magnitude": Peer(False, 0, global_magnitude),
    "Torch-Pruning L1": torch_pruning_by(lambda: _importance.GroupMagnitudeImportance(p=1)),
    "Torch-Pruning batch-norm scale": torch_pruning_by(
        _importance.BNScaleImportance, torch_pruning.pruner.BNScalePruner, sparse_epochs=1
    ),
    "Torch-Pruning Taylor": torch_pruning_by(
        _importance.GroupTaylorImportance, needs_gradients=True
    ),
    "Torch-Pruning group norm": torch_pruning_by(
        lambda: _importance.GroupMagnitudeImportance(p=2),
        torch_pruning.pruner.GroupNormPruner,
        sparse_epochs=1,
    ),
}
if is_there():
    PEERS = {
        **PEERS,
        "fasterai sparsifier": Peer(
            False, 0, lambda net, _, __, level, ___: sparsified(net, level)
        ),
    }
VERSION = torch_pruning.__version__
torch.set_num_threads(1)
