"""Modes: a network runs in evaluation mode, and in training mode with its dice held still.

Branches that run in training only (an auxiliary head) are part of the network, so they are traced
and compared too. What training does to chance and to statistics is left out: dropout gives what it
is given, and norms use the statistics that they have. Both work on each channel by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from secateur.channels.labels.op_names import operator_name

BY_PLACE = frozenset(("scaled_dot_product_attention", "batch_norm"))
STILL = (_DropoutNd, nn.RNNBase, nn.RReLU)


@contextmanager
def mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """While open, a copy of a network is in that mode.

    Args:
        model: The copy; its flags are not put back.
        training: Training mode, held still; evaluation mode if not.
    """
    model.train(training)
    if not training:
        yield
        return
    for module in model.modules():
        if _is_still(module):
            module.training = False
    with _Still():
        yield


def _is_still(module: nn.Module) -> bool:
    """Whether training adds nothing but chance and statistics to what a module does."""
    if isinstance(module, _NormBase):
        return module.running_mean is not None  # else it has those of the batch in either mode
    return isinstance(module, STILL) or _drops(module)


def _drops(module: nn.Module) -> bool:
    """`DropPath`, `DropBlock` and their like, which leave parts of a tensor out."""
    holds = module._parameters or module._buffers or module._modules
    return "drop" in type(module).__name__.lower() and not holds


class _Still(TorchFunctionMode):
    """Takes chance and batch statistics out of the functions that are called by name."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operator_name(func)
        if not kwargs and name not in BY_PLACE and "dropout" not in name:
            return func(*args)
        kwargs = dict(kwargs or {})
        if "dropout" in name:
            given: Tensor = args[0] if args else kwargs["input"]
            return given
        if "dropout_p" in kwargs:
            kwargs["dropout_p"] = 0.0
        elif name == "scaled_dot_product_attention" and len(args) > 4:
            args = (*args[:4], 0.0, *args[5:])
        if name == "batch_norm":
            args, kwargs = _with_statistics(args, kwargs)
        return func(*args, **kwargs)


def _with_statistics(args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Batch norm by the statistics that it has, not by those of the batch."""
    if kwargs.get("running_mean", args[1] if len(args) > 1 else None) is None:
        return args, kwargs
    if len(args) > 5:
        return (*args[:5], False, *args[6:]), kwargs
    return args, {**kwargs, "training": False}
