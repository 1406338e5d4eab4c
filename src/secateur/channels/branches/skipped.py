"""Skipped: what stands in a network where a module of a skipped branch was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateur.channels.branches.dataflow import LIKE, TENSOR, Form
from secateur.errors import ModelError
from secateur.foundation.run_example import tensors_in

_PLAIN = (bool, int, float, str)
_OWN = frozenset(vars(nn.Module()))


class Skipped(nn.Module):
    """Gives zero, in the form of what the module gave in whose place it stands.

    The zero has no axes: a sum with it is the other addend, whatever its shape, bit by bit. It has
    the type and the device of the module's first input. Where code behind it looks at its shape
    while it trains (as stochastic depth does), it has in training mode that input's shape, too. The
    numbers and words of the module stay, for code that reads them; its parameters are None.

    Args:
        module: What it stands for.
        form: What that gives: `tensor`, `like` (a tensor that has its input's shape while it
            trains), or a list of these and `none` for a tuple.

    Raises:
        ModelError: Called without a tensor.

    Example:
        >>> import torch
        >>> torch.ones(2) + Skipped(nn.Linear(2, 2), "tensor")(torch.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, module: nn.Module, form: Form) -> None:
        super().__init__()
        for name, value in vars(module).items():
            if name not in _OWN and (value is None or isinstance(value, _PLAIN)):
                setattr(self, name, value)
        for name in module._parameters:
            self.register_parameter(name, None)
        self.training = module.training
        self.form = form

    def forward(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor | None, ...]:
        """Zeros, for whatever it is given."""
        given = tensors_in((args, kwargs))
        if not given:
            raise ModelError(
                "running a skipped branch",
                "the input",
                given="no tensor",
                expected="one, whose type and device the zero has",
                remedy="Call the module as it was called before its branch was skipped.",
            )
        first = given[0]
        zero = first.new_zeros(())
        zeros = {TENSOR: zero, LIKE: torch.zeros_like(first) if self.training else zero}
        if isinstance(self.form, str):
            return zeros[self.form]
        return tuple(zeros.get(one) for one in self.form)

    def extra_repr(self) -> str:
        """Nothing: the numbers of what was there are no longer used."""
        return ""


def skip(model: nn.Module, forms: Mapping[str, Form]) -> nn.Module:
    """Put `Skipped` in the place of some modules.

    Args:
        model: The network; it is changed.
        forms: By module, what it gives.

    Raises:
        ModelError: The network has no such module.

    Example:
        >>> skip(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), {"0": "tensor"})[0]
        Skipped()
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    for path, form in forms.items():
        parent, _, leaf = path.rpartition(".")
        if not path or path not in modules or parent not in modules:
            raise ModelError(
                "skipping branches",
                repr(path[:100]),
                given="no module of the network",
                expected=f"one of {', '.join(list(modules)[1:4])}, ...",
                remedy="Build the net with the class and the options that it was saved from.",
            )
        setattr(modules[parent], leaf, Skipped(modules[path], form))
    return model
