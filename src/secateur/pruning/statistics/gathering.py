"""Gathering: one pass over training data, in which every collector notes what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.weights import Weight, prunable_weights
from secateur.registry import COLLECTORS

Batches = Iterable[Any]
"""Batches of training data, as the loss takes them."""
Loss = Callable[[nn.Module, Any], Tensor]
"""From the network and a batch to the scalar that is minimised."""


class Collector(Protocol):
    """Gathers one thing for every weight; made anew for each cut by `collector(weights, model)`.

    Attributes:
        backward: Whether it needs the gradients of each batch.
    """

    backward: bool

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        """Get ready to watch a copy of the network, whose weights these are."""

    def note(self) -> None:
        """A batch has gone through; where `backward` is set, its gradients are in the weights."""

    def close(self) -> Mapping[str, Tensor]:
        """Stop watching: weight name -> what was gathered."""


def gather(
    model: nn.Module, names: Sequence[str], batches: Batches, loss: Loss
) -> dict[str, dict[str, Tensor]]:
    """Gather statistics in one pass over some batches.

    A copy of the network goes through them in evaluation mode, so that dropout draws nothing and
    batch norms use what they know; the network itself is left as it is.

    Args:
        model: The network.
        names: What to gather: names in `registry.COLLECTORS`.
        batches: Training data, never validation or test data.
        loss: Gives the scalar loss of a batch.

    Returns:
        Name -> weight name -> what was gathered, on the CPU.

    Raises:
        UnknownNameError: No collector has one of these names.
        MaskError: There is no batch, or what was gathered is not finite.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> batches = [torch.eye(2)]
        >>> found = gather(net, ["gradients"], batches, lambda net, x: net(x).sum())
        >>> found["gradients"]["weight"].tolist()
        [[1.0, 1.0]]
    """
    copied = copy.deepcopy(model).eval()
    weights = {name: one for name, one in prunable_weights(copied).items() if one.computed is None}
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    for weight in weights.values():
        weight.parameter.requires_grad_(True)
    collectors: dict[str, Collector] = {
        name: COLLECTORS[name](weights, copied) for name in dict.fromkeys(names)
    }
    count = 0
    for batch in batches:
        _one(copied, batch, loss, collectors, weights)
        count += 1
    if not count:
        raise MaskError(
            "gathering statistics",
            "the batches",
            given="none",
            expected="at least one batch of training data",
            remedy="Pass a list or a loader; a generator that was used up gives nothing.",
        )
    found = {name: dict(one.close()) for name, one in collectors.items()}
    return {name: _finite(name, table) for name, table in found.items()}


def _one(
    model: nn.Module,
    batch: Any,
    loss: Loss,
    collectors: Mapping[str, Collector],
    weights: Mapping[str, Weight],
) -> None:
    backward = any(one.backward for one in collectors.values())
    with torch.set_grad_enabled(backward):
        value = loss(model, batch)
        if backward:
            _check_scalar(value)
            value.backward()  # type: ignore[no-untyped-call]
    for collector in collectors.values():
        collector.note()
    for weight in weights.values():
        weight.parameter.grad = None


def _check_scalar(value: object) -> None:
    if isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad:
        return
    given = f"of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    raise MaskError(
        "gathering statistics",
        "the loss",
        given=given,
        expected="a tensor of one number that depends on the weights",
        remedy="Return the mean loss of the batch, as for training.",
    )


def _finite(name: str, table: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for weight, value in table.items():
        if not bool(torch.isfinite(value).all()):
            raise MaskError(
                "gathering statistics",
                weight,
                given=f"with {name} that are not finite",
                expected="finite numbers",
                remedy="Training has diverged before this point: lower the learning rate, or "
                "prune an earlier checkpoint.",
            )
    return {weight: value.detach().cpu() for weight, value in table.items()}
