"""Gathering: one pass over training data, in which every collector notes what it is there for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.run_example import batch_size, take_rows
from secateur.pruning.criterion import needs_of
from secateur.pruning.method import Part
from secateur.pruning.patterns import Pattern
from secateur.pruning.weights import Tied, Weight, prunable_weights
from secateur.registry import ALLOCATIONS, COLLECTORS, CRITERIA

Batches = Iterable[Any]
"""Batches of training data, as the loss takes them."""
Loss = Callable[[nn.Module, Any], Tensor]
"""From the network and a batch to the scalar that is minimised."""


class Collector(Protocol):
    """Gathers one thing for every weight; made anew for each cut by `collector(weights, model)`.

    It may say more, where it is not so for most:

    - `each_example = True`: batches come to it one example at a time, cut along their first axis.
    - `twice = True`: the gradients keep their graph, so that they can be differentiated.
    - `passes = 2`: it goes through the batches as often, with a call of `turn()` in between.
    - `from_example = True`: it needs no batch; `see(example_inputs)` is called once.

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


def needs_of_part(part: Part) -> tuple[str, ...]:
    """All that the criterion and the allocation of a part need beside the weights.

    Example:
        >>> needs_of_part(Part("taylor", "weight", "all", "global", allocation="erk"))
        ('squared-gradients',)
    """
    allocations = [ALLOCATIONS[part.allocation]] if part.by_layer else []
    return needs_of([CRITERIA[part.criterion], *allocations])


def collected(parts: Iterable[Part]) -> tuple[str, ...]:
    """What is to be gathered from the data for some cuts: names in `COLLECTORS`.

    Example:
        >>> collected([Part("taylor", "weight", "all", "global")])
        ('squared-gradients',)
    """
    needed = dict.fromkeys(name for part in parts for name in needs_of_part(part))
    return tuple(name for name in needed if name in COLLECTORS)


def needs_data(name: str) -> bool:
    """Whether a statistic is gathered from batches of data, and not from an example alone.

    Example:
        >>> needs_data("gradients"), needs_data("synaptic-flow")
        (True, False)
    """
    return not getattr(COLLECTORS[name], "from_example", False)


def passes_over_data(parts: Iterable[Part]) -> int:
    """How often all batches are gone through for one cut.

    Example:
        >>> passes_over_data([Part("taylor", "weight", "all", "global")])
        1
    """
    names = (name for name in collected(parts) if needs_data(name))
    return max((int(getattr(COLLECTORS[name], "passes", 1)) for name in names), default=0)


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
    """Gather statistics in a pass over some batches.

    A copy of the network goes through them in evaluation mode, so that dropout draws nothing and
    batch norms use what they know; the network itself is left as it is.

    Args:
        model: The network.
        names: What to gather: names in `registry.COLLECTORS`.
        batches: Training data, never validation or test data.
        loss: Gives the scalar loss of a batch.
        seed: For what the batches, the network or the loss draw from torch's global generators,
            which are the caller's again afterwards.
        example_inputs: Shows which parameters of layers of one's own are weights; what statistics
            that need no data are gathered with.
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
    with torch.random.fork_rng(_accelerators(copied)):
        torch.manual_seed(seed)
        collectors: dict[str, Collector] = {
            name: COLLECTORS[name](weights, copied) for name in dict.fromkeys(names)
        }
        for name, collector in collectors.items():
            if not needs_data(name):
                collector.see(example_inputs)  # type: ignore[attr-defined]
        own = {name: one for name, one in collectors.items() if needs_data(name)}
        reached = _passes(copied, batches, loss, own, weights) if own else True
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


def _passes(
    model: nn.Module,
    batches: Batches,
    loss: Loss,
    collectors: Mapping[str, Collector],
    weights: Mapping[str, Weight],
) -> bool:
    """Go through the batches, as often as the collectors ask; whether a gradient was met."""
    reached = False
    for turn in range(max(getattr(one, "passes", 1) for one in collectors.values())):
        count = 0
        left = [one for one in collectors.values() if getattr(one, "passes", 1) > turn]
        if turn:
            for one in left:
                one.turn()  # type: ignore[attr-defined]
        each = [one for one in left if getattr(one, "each_example", False)]
        whole = [one for one in left if one not in each]
        for batch in batches:
            if whole:
                reached |= _one(model, batch, loss, whole, weights)
            for example in examples_of(batch) if each else ():
                reached |= _one(model, example, loss, each, weights)
            count += 1
        if not count:
            raise MaskError(
                "gathering statistics",
                "the batches",
                given="none" if not turn else f"none in pass {turn + 1}",
                expected="at least one batch of training data"
                + (", every time that they are gone through" if turn else ""),
                remedy="Pass a list or a loader; a generator that was used up gives nothing.",
            )
    return reached


def examples_of(batch: Any) -> Iterator[Any]:
    """The examples of a batch, each a batch of one: its tensors cut along their first axis.

    Tensors of another length, and all that is no tensor, are the same for each.

    Raises:
        MaskError: There is no tensor with an axis in it.

    Example:
        >>> [one[0].tolist() for one in examples_of((torch.tensor([[1], [2]]), None))]
        [[[1]], [[2]]]
    """
    count = batch_size(batch)
    if not count:
        raise MaskError(
            "gathering statistics",
            "a batch",
            given="one without a tensor that could be cut along its first axis",
            expected="batches whose tensors have an example in each row",
            remedy="Give such batches, or choose a criterion of whole batches, such as taylor.",
        )
    for number in range(count):
        yield take_rows(batch, [number])


def _one(
    model: nn.Module,
    batch: Any,
    loss: Loss,
    collectors: Sequence[Collector],
    weights: Mapping[str, Weight],
) -> bool:
    """Take one batch; whether a gradient has reached a weight."""
    backward = any(one.backward for one in collectors)
    with torch.set_grad_enabled(backward):
        value = loss(model, batch)
        if backward:
            _check_scalar(value)
            _differentiate(value, weights, any(getattr(one, "twice", False) for one in collectors))
    for collector in collectors:
        collector.note()
    reached = any(weight.parameter.grad is not None for weight in weights.values())
    for weight in weights.values():
        weight.parameter.grad = None
    return reached


def _differentiate(value: Tensor, weights: Mapping[str, Weight], twice: bool) -> None:
    """Leave the gradients in the weights; if `twice`, with the graph that they came from."""
    if not twice:
        value.backward()  # type: ignore[no-untyped-call]
        return
    parameters = [weight.parameter for weight in weights.values()]
    slopes = torch.autograd.grad(value, parameters, create_graph=True, allow_unused=True)
    for parameter, slope in zip(parameters, slopes, strict=True):
        parameter.grad = slope


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
