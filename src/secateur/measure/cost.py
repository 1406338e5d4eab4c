"""What a network costs: its parameters and multiply-adds, as exact integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from secateur.channels.rebuild import uncompiled
from secateur.channels.sandbox import sandbox
from secateur.errors import ModelError
from secateur.foundation.run_example import Inputs, take_rows
from secateur.measure.macs import MacCounter, count_macs
from secateur.measure.observe import check_batch, check_built, observed

_OPERATION = "counting the cost"


@dataclass(frozen=True)
class LayerCost:
    """What one module costs by itself, its submodules not included.

    Attributes:
        name: The module's name, empty for the network itself.
        kind: Its class: `Conv2d`.
        shape: The shape of its weight, empty if it has none.
        parameters: Its parameters; a tied one counts for the first module that has it.
        nonzero: Those of them that are not zero.
        macs: Multiply-adds of one example.
        nonzero_macs: Those of them whose weight is not zero.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    nonzero: int
    macs: int
    nonzero_macs: int


@dataclass(frozen=True, repr=False)
class Cost:
    """What a network costs. The numbers are the sums of those of its layers.

    Attributes:
        layers: Every module with parameters or multiply-adds of its own, in the order of
            `named_modules`.
    """

    layers: tuple[LayerCost, ...]

    def __repr__(self) -> str:
        counts = ("parameters", "nonzero", "macs", "nonzero_macs")
        told = ", ".join(f"{name}={getattr(self, name):,}" for name in counts)
        return f"Cost({told}, layers: {len(self.layers)})"

    @property
    def parameters(self) -> int:
        """All parameters, zeros included; tied ones once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def nonzero(self) -> int:
        """The parameters that are not zero."""
        return sum(layer.nonzero for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of one example through the net as it runs, zeros multiplied too."""
        return sum(layer.macs for layer in self.layers)

    @property
    def nonzero_macs(self) -> int:
        """The multiply-adds whose weight is not zero."""
        return sum(layer.nonzero_macs for layer in self.layers)


def cost(model: nn.Module, example: Inputs) -> Cost:
    """Count what a network costs, by running one example through it.

    Counted are the multiply-adds of convolutions (grouped, transposed, of any rank), linear,
    bilinear, recurrent and attention layers, and of every matrix product, einsum included; an
    element of the padding is multiplied like any other, and so is what a causal mask hides.
    Not counted: adding a bias, norms, activations, pooling, look-ups, element-wise products; nor
    what a quantized or a user's own kernel does inside.

    The model is left as it was: mode, buffers, gradients and random state.

    Args:
        model: Any network.
        example: A batch of inputs `[N, ...]`, on the model's device, or several in a tuple or a
            dict; the first row is used. If the model does not take one row of several inputs
            (a graph has no rows), they are one example as they are.

    Raises:
        ModelError: The batch is empty, the model fails on the example, or has no values yet.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 2))
        >>> counted = cost(net, torch.zeros(1, 1, 4, 4))
        >>> counted.parameters, counted.macs  # (9 + 1)4 + (16 + 1)2 and 9 * 4 * 2 * 2 + 16 * 2
        (74, 176)
    """
    check_built(_OPERATION, model)
    check_batch(_OPERATION, example)
    net = uncompiled(model)
    return Cost(tuple(_layers(net, _counted(net, example))))


def _counted(net: nn.Module, example: Inputs) -> MacCounter:
    first = take_rows(example, [0])
    try:
        with observed(net, _OPERATION, first), sandbox(net):
            return count_macs(net, first)
    except ModelError:
        if isinstance(example, Tensor):
            raise
    with observed(net, _OPERATION, example), sandbox(net):
        return count_macs(net, example)


def _layers(model: nn.Module, counter: MacCounter) -> Iterator[LayerCost]:
    counted: set[int] = set()
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in counted]
        counted.update(map(id, own))
        if own or counter.macs[name]:
            weight = getattr(module, "weight", None)
            yield LayerCost(
                name=name,
                kind=type(module).__name__,
                shape=tuple(weight.shape) if isinstance(weight, Tensor) else (),
                parameters=sum(parameter.numel() for parameter in own),
                nonzero=sum(int(parameter.count_nonzero()) for parameter in own),
                macs=counter.macs[name],
                nonzero_macs=counter.nonzero_macs[name],
            )
