"""`sparsify`: swap the layers of a pruned network for sparse ones, and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import nn

from secateur.channels.rebuild import rebuild, uncompiled
from secateur.errors import KernelError
from secateur.runtime.kernels import kernels
from secateur.runtime.layers.conv import SparseConv2d
from secateur.runtime.layers.layer import SparseLayer
from secateur.runtime.layers.linear import SparseLinear

# Where sparse begins to pay on the CPUs that were measured (benchmarks/sparse.py).
BREAK_EVEN = 0.7


def sparsify(model: nn.Module, *, sparsity: float = BREAK_EVEN) -> nn.Module:
    """A copy of the model, its sparse enough layers swapped for `SparseLinear` and `SparseConv2d`.

    Swapped are plain `nn.Linear` and `nn.Conv2d` (one group, padded with zeros) in fp32 on the
    CPU, without hooks or parametrizations, with at least so many zeros. All others stay. A layer
    that occurs several times stays one layer; layers that share a weight get one each.
    To go back: `densify`, or `to_dense()` of a layer.

    Without the native kernels the layers run on torch's CSR product or, convolutions, dense; a
    warning says so.

    Args:
        model: Not changed.
        sparsity: The share of zeros in a weight from which a layer is swapped.

    Raises:
        KernelError: `sparsity` is not between 0 and 1.

    Example:
        >>> model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> _ = model[0].weight.data.fill_(0)
        >>> [type(layer).__name__ for layer in sparsify(model)]
        ['SparseLinear', 'ReLU', 'Linear']
    """
    if not 0 <= sparsity <= 1:
        raise KernelError(
            "sparsify",
            "sparsity",
            given=str(sparsity),
            expected="0 <= sparsity <= 1",
            remedy="Pass a share, not a percentage.",
        )
    if not kernels.available():
        warnings.warn(
            f"sparse layers will run on torch: {kernels.why_not()}", RuntimeWarning, stacklevel=2
        )

    def swap(layer: nn.Module) -> nn.Module | None:
        if not _swappable(layer, sparsity):
            return None
        kind = SparseLinear if type(layer) is nn.Linear else SparseConv2d
        return kind(layer).train(layer.training)  # type: ignore[arg-type]

    return _swapped(rebuild(uncompiled(model), {}), swap)


def densify(model: nn.Module) -> nn.Module:
    """A copy of the model, its sparse layers dense again.

    Example:
        >>> densify(sparsify(nn.Sequential(nn.Linear(4, 2)), sparsity=0))[0]
        Linear(in_features=4, out_features=2, bias=True)
    """

    def swap(layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, SparseLinear | SparseConv2d):
            return layer.to_dense()
        return None

    return _swapped(rebuild(uncompiled(model), {}), swap)


def _swapped(model: nn.Module, swap: Callable[[nn.Module], nn.Module | None]) -> nn.Module:
    whole = swap(model)
    if whole is not None:
        return whole
    new: dict[nn.Module, nn.Module | None] = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is None:
                continue
            if child not in new:
                new[child] = swap(child)
            if new[child] is not None:
                parent._modules[name] = new[child]
    return model


def _swappable(layer: nn.Module, sparsity: float) -> bool:
    if type(layer) not in (nn.Linear, nn.Conv2d) or isinstance(layer, SparseLayer):
        return False
    if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
        return False
    if isinstance(layer, nn.Conv2d) and (layer.groups != 1 or layer.padding_mode != "zeros"):
        return False
    weight = layer.weight
    if weight.dtype != torch.float32 or weight.device.type != "cpu" or weight.numel() == 0:
        return False
    return int((weight == 0).sum()) >= sparsity * weight.numel()
