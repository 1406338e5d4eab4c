"""Gathering: one pass over training data, in which every collector notes what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.criterion import needs_of
from secateur.pruning.method import Part
from secateur.pruning.patterns import Pattern
from secateur.pruning.weights import Tied, Weight, prunable_weights
from secateur.registry import COLLECTORS, CRITERIA

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


def collected(parts: Iterable[Part]) -> tuple[str, ...]:
    """What is to be gathered from the data for some cuts: names in `COLLECTORS`.

    Example:
        >>> collected([Part("taylor", "weight", "all", "global")])
        ('squared-gradients',)
    """
    needed = needs_of(CRITERIA[part.criterion] for part in parts)
    return tuple(name for name in needed if name in COLLECTORS)


def gather(
    model: nn.Module,
    names: Sequence[str],
    batches: Batches,
    loss: Loss,
    *,
    seed: int = 0,
    example_inputs: Any = None,
    tied: Tied = "keep",
    prunable: Sequence[Pattern] = (),
) -> dict[str, dict[str, Tensor]]:
    """Gather statistics in one pass over some batches.

    A copy of the network goes through them in evaluation mode, so that dropout draws nothing and
    batch norms use what they know; the network itself is left as it is.

    Args:
        model: The network.
        names: What to gather: names in `registry.COLLECTORS`.
        batches: Training data, never validation or test data.
        loss: Gives the scalar loss of a batch.
        seed: For what the batches, the network or the loss draw from torch's global generators,
            which are the caller's again afterwards.
        example_inputs: Shows which parameters of layers of one's own are weights.
        tied: Whether a matrix that an embedding shares is a weight (`prune`) or not (`keep`).
        prunable: Patterns of parameters that are weights, too.

    Returns:
        Name -> weight name -> what was gathered, on the CPU.

    Raises:
        UnknownNameError: No collector has one of these names.
        MaskError: There is no batch, the loss depends on no weight, or what was gathered is not
            finite or zero everywhere.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> batches = [torch.eye(2)]
        >>> found = gather(net, ["gradients"], batches, lambda net, x: net(x).sum())
        >>> found["gradients"]["weight"].tolist()
        [[1.0, 1.0]]
    """
    copied = copy.deepcopy(model).eval()
    found = prunable_weights(copied, example_inputs=example_inputs, tied=tied, prunable=prunable)
    weights = {name: one for name, one in found.items() if one.computed is None}
    for parameter in copied.parameters():
        parameter.requires_grad_(False)
    for weight in weights.values():
        weight.parameter.requires_grad_(True)
    collectors: dict[str, Collector] = {
        name: COLLECTORS[name](weights, copied) for name in dict.fromkeys(names)
    }
    count, reached = 0, False
    with torch.random.fork_rng(_accelerators(copied)):
        torch.manual_seed(seed)
        for batch in batches:
            reached |= _one(copied, batch, loss, collectors, weights)
            count += 1
    if not count:
        raise MaskError(
            "gathering statistics",
            "the batches",
            given="none",
            expected="at least one batch of training data",
            remedy="Pass a list or a loader; a generator that was used up gives nothing.",
        )
    gathered = {name: dict(one.close()) for name, one in collectors.items()}
    if weights and not reached and any(one.backward for one in collectors.values()):
        raise MaskError(
            "gathering statistics",
            "the loss",
            given="one that depends on no weight of the network that it was handed",
            expected="loss(model, batch), computed with that model, which is a copy",
            remedy="Call the `model` that the loss gets, and not the network outside it.",
        )
    return {name: _telling(name, _finite(name, table)) for name, table in gathered.items()}


def _accelerators(model: nn.Module) -> list[torch.device]:
    """The CUDA devices that the network lies on, whose generators it may draw from."""
    devices = {one.device for one in (*model.parameters(), *model.buffers())}
    return sorted((one for one in devices if one.type == "cuda"), key=str)


def _one(
    model: nn.Module,
    batch: Any,
    loss: Loss,
    collectors: Mapping[str, Collector],
    weights: Mapping[str, Weight],
) -> bool:
    """Take one batch; whether a gradient has reached a weight."""
    backward = any(one.backward for one in collectors.values())
    with torch.set_grad_enabled(backward):
        value = loss(model, batch)
        if backward:
            _check_scalar(value)
            value.backward()  # type: ignore[no-untyped-call]
    for collector in collectors.values():
        collector.note()
    reached = any(weight.parameter.grad is not None for weight in weights.values())
    for weight in weights.values():
        weight.parameter.grad = None
    return reached


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


def _telling(name: str, table: dict[str, Tensor]) -> dict[str, Tensor]:
    """Refuse a statistic that tells no weight from another; a layer of zeros is a dead layer."""
    if table and not any(bool(value.any()) for value in table.values()):
        raise MaskError(
            "gathering statistics",
            name,
            given="zero for every weight of the network",
            expected="some that are not: all weights would rank alike, in the order of the layers",
            remedy="Give batches that the loss learns something from, and a network that is alive: "
            "a constant loss, inputs of zeros and dead activations give nothing to rank by.",
        )
    return table


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
