"""Removed: what a cut has zeroed, so that the network can be seen as it was before."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from secateur.foundation.own_tensors import own_tensors
from secateur.pruning.naming import masked_parameters

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


class Removed:
    """The values of pruned elements, the statistics of norms, and a checksum of what was kept.

    It costs the memory of the parameters that have a mask.

    Args:
        masks: Parameter names -> bool tensors, True = kept.
        model: The network, before the masks are applied to it.
        rewritten: Names of parameters whose kept elements are about to change, too.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.ones_(net.weight)
        >>> removed = Removed({"weight": torch.tensor([[True, False]])}, net)
        >>> _ = net.weight.data[0, 1].zero_()
        >>> removed.seal(net)
        >>> removed.is_of(net), removed.dense(net)["weight"].tolist()
        (True, [[1.0, 1.0]])
    """

    def __init__(
        self, masks: Mapping[str, Tensor], model: nn.Module, rewritten: Collection[str] = ()
    ) -> None:
        # Elements that a cut leaves as they are need not be held.
        self._unchanged = {
            name: torch.zeros_like(mask) if name in rewritten else mask
            for name, mask in masks.items()
        }
        self._values = {
            name: parameter.detach().masked_fill(self._unchanged[name].to(parameter.device), 0)
            for name, parameter in masked_parameters(masks, model).items()
        }
        self._norms = {name: one.detach().clone() for name, one in _norm_statistics(model).items()}
        self._kept: dict[str, int] = {}

    @property
    def is_something(self) -> bool:
        """Whether any of it was not zero already."""
        return any(bool(values.count_nonzero()) for values in self._values.values())

    def seal(self, model: nn.Module) -> None:
        """Note what the network is now that it is cut."""
        self._kept = checksums(model)

    def is_of(self, model: nn.Module) -> bool:
        """Whether a network has exactly the parameters that the cut has left."""
        return self._kept == checksums(model)

    def dense(self, model: nn.Module) -> dict[str, Tensor]:
        """Copies of the network's parameters and buffers as they were before the cut.

        Args:
            model: The network, of which `is_of` holds.

        Returns:
            By the names of `own_tensors`.
        """
        found = {name: one.detach().clone() for name, one in own_tensors(model)}
        names = {id(one): name for name, one in own_tensors(model)}
        for name, parameter in masked_parameters(self._unchanged, model).items():
            cut = found[names[id(parameter)]]
            values = self._values[name].to(cut.device, cut.dtype)
            cut.copy_(torch.where(self._unchanged[name].to(cut.device), cut, values))
        for name, values in self._norms.items():
            found[name].copy_(values)
        return found


def to_be_removed(
    masks: Mapping[str, Tensor], model: nn.Module, rewritten: Collection[str] = ()
) -> Removed | None:
    """What masks are about to zero; None if that is nothing, or cannot be read.

    Args:
        masks: Parameter names -> bool tensors, True = kept.
        model: The network.
        rewritten: Names of parameters whose kept elements are about to change, too.

    Raises:
        MaskError: A name or a shape is not the model's.
    """
    masked_parameters(masks, model)
    try:
        removed = Removed(masks, model, rewritten)
        return removed if removed.is_something else None
    except (RuntimeError, TypeError):  # without storage, or of a tensor class that has no such op
        return None


def _norm_statistics(model: nn.Module) -> dict[str, Tensor]:
    """The buffers of batch and instance norms: a pass in training mode changes them."""
    norms = [module for module in model.modules() if isinstance(module, _NormBase)]
    held = {id(one) for norm in norms for one in norm.buffers(recurse=False)}
    return {name: one for name, one in own_tensors(model) if id(one) in held}


def checksums(model: nn.Module) -> dict[str, int]:
    """The sum of each parameter's bits: the same on every device and in every memory layout.

    Args:
        model: Any network.

    Returns:
        By the names of `own_tensors`.

    Example:
        >>> checksums(nn.BatchNorm1d(2, device="cpu"))  # two ones and two zeros
        {'weight': 2130706432, 'bias': 0}
    """
    return {
        name: _checksum(one) for name, one in own_tensors(model) if isinstance(one, nn.Parameter)
    }


def _checksum(parameter: Tensor) -> int:
    tensor = parameter.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return int(tensor.view(_BITS[tensor.element_size()]).sum(dtype=torch.int64))
