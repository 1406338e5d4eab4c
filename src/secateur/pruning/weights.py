"""Which parameters are prunable weights, and to which kind of layer they belong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.nn.modules.conv import _ConvNd

from secateur.errors import ModelError

Kind = Literal["conv", "linear"]
Scope = Literal["all", "conv", "non-conv"]

_LINEAR = (nn.Linear, nn.Bilinear, nn.MultiheadAttention, nn.RNNBase)


@dataclass(frozen=True)
class Weight:
    """One prunable weight.

    Attributes:
        name: Its state-dict name; of a tied weight, the first in the order of the modules.
        module: Name of the module that owns it.
        kind: `conv` for convolutions of any rank, transposed or not; `linear` for the rest.
        parameter: The live parameter.
    """

    name: str
    module: str
    kind: Kind
    parameter: nn.Parameter


def prunable_weights(model: nn.Module, scope: Scope = "all") -> dict[str, Weight]:
    """The weights that pruning may zero, by state-dict name, in the order of the modules.

    These are the parameters of two or more axes that belong to convolutions, linear and bilinear
    layers, attention and recurrent layers. Biases, norms and embeddings are never prunable
    weights. A weight that several modules share counts once.

    Args:
        model: Any network.
        scope: `all`, or only those of `conv` or `non-conv` layers.

    Raises:
        ModelError: The network has no such weight.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2))
        >>> [weight.name for weight in prunable_weights(net).values()]
        ['0.weight', '2.weight']
    """
    wanted = {"all": ("conv", "linear"), "conv": ("conv",), "non-conv": ("linear",)}[scope]
    found = {weight.name: weight for weight in _weights(model) if weight.kind in wanted}
    if not found:
        raise ModelError(
            "looking for prunable weights",
            type(model).__name__,
            given=f"a network without one in scope {scope!r}",
            expected="at least one convolution or linear layer in the scope",
            remedy="Choose another scope or method, or check that the layers are nn modules.",
        )
    return found


def _weights(model: nn.Module) -> Iterator[Weight]:
    seen: set[int] = set()
    for module_name, module in model.named_modules():
        kind = kind_of(module)
        if kind is None:
            continue
        for name, parameter in module.named_parameters():
            # Attention's bias_k and bias_v have three axes.
            is_weight = parameter.ndim >= 2 and not name.rpartition(".")[2].startswith("bias")
            if is_weight and id(parameter) not in seen:
                seen.add(id(parameter))
                full = f"{module_name}.{name}" if module_name else name
                yield Weight(full, module_name, kind, parameter)


def kind_of(module: nn.Module) -> Kind | None:
    """`conv`, `linear`, or None for a module without prunable weights of its own."""
    if isinstance(module, _ConvNd):
        return "conv"
    return "linear" if isinstance(module, _LINEAR) else None
