"""Retraining a pruned network in time that falls with its weights: sparse forward and backward."""

from __future__ import annotations

import copy
import copyreg
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from secateur.errors import KernelError
from secateur.pruning.masks import Masks
from secateur.runtime.kernels import kernels
from secateur.runtime.layers.axis import ConvAxis
from secateur.runtime.layers.batchlast import pool_batch_last
from secateur.runtime.layers.conv_geometry import Window
from secateur.runtime.layers.masked_product import FrozenProduct
from secateur.runtime.layers.masked_weight import FrozenWeight

# Where a training step begins to be faster sparse (benchmarks/sparse_training.py).
BREAK_EVEN = 0.65
# A layer this much smaller than the largest of its kind costs less than changing the layout.
SMALL = 0.05

Layers = Iterable[nn.Linear | nn.Conv2d]


@contextmanager
def sparse_retraining(
    model: nn.Module, masks: Masks, *, sparsity: float = BREAK_EVEN
) -> Iterator[tuple[str, ...]]:
    """While it lasts, the masked layers of a model train on sparse kernels.

    Forward, the gradient of the input and the gradient of the weight cost what the kept elements
    cost. Parameters stay dense and the same objects, so optimizers, `masks.freeze`, checkpoints
    and `fit` work as before; gradients are dense, zero where nothing is kept. Only passes that
    autograd records are changed: evaluation stays torch's. Results are equal to rounding; only
    dropout, which draws in the order of memory, hits other elements than it would otherwise.

    Taken are plain `nn.Linear` and `nn.Conv2d` (one group, padded with zeros) in fp32 on the CPU
    without parametrizations, whose mask drops at least so many elements. Between them activations
    are kept batch-last (`batchlast`), and max and average pooling is done in this layout. Where
    all masked layers of a kind are taken but some of less than a twentieth of the largest one's
    size, these are taken, too: changing the layout would cost more.

    Args:
        model: Its layers are given back as they were.
        masks: What is kept. They must not change meanwhile; the dropped weights are taken for zero
            whatever they hold.
        sparsity: The share of dropped elements from which a layer is taken.

    Yields:
        The names of the layers that are taken; none without the native kernels.

    Raises:
        KernelError: `sparsity` is not between 0 and 1.
        MaskError: The masks are of another model.

    Example:
        >>> net = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2))
        >>> masks = Masks({"0.weight": torch.rand(32, 64) > 0.9}).apply(net)
        >>> with sparse_retraining(net, masks) as layers:
        ...     net(torch.rand(8, 64)).sum().backward()
        >>> layers
        ('0',)
        >>> bool(net[0].weight.grad[~masks["0.weight"]].any())
        False
    """
    if not 0 <= sparsity <= 1:
        raise KernelError(
            "sparse retraining",
            "sparsity",
            given=str(sparsity),
            expected="0 <= sparsity <= 1",
            remedy="Pass a share, not a percentage.",
        )
    masks.parameters_of(model)
    taken = _layers(model, masks, sparsity) if kernels.available() else {}
    changed: list[nn.Module] = []
    try:
        for name, layer in taken.items():
            _change(layer, _Retrained(layer, masks[_mask_name(name)]))
            changed.append(layer)
        for pool in _pools(model) if taken else ():
            _change(pool, partial(pool_batch_last, pool))
            changed.append(pool)
        yield tuple(taken)
    finally:
        for module in changed:
            for name in OWN:
                del vars(module)[name]


OWN = ("forward", "__deepcopy__", "__reduce_ex__")


def _change(module: nn.Module, forward: Callable[[Tensor], Tensor]) -> None:
    """Give one module another forward pass; copies of it, and pickles, are plain."""
    own = (forward, partial(_copied, module), partial(_reduced, module))
    vars(module).update(zip(OWN, own, strict=True))


def _plain_state(module: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if name not in OWN}


def _copied(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    new = type(module).__new__(type(module))
    memo[id(module)] = new
    vars(new).update(copy.deepcopy(_plain_state(module), memo))
    return new


def _reduced(module: nn.Module, _: object) -> tuple[Any, ...]:
    return copyreg.__newobj__, (type(module),), _plain_state(module)  # type: ignore[attr-defined]


def _layers(model: nn.Module, masks: Masks, sparsity: float) -> dict[str, nn.Linear | nn.Conv2d]:
    masked = {
        name: layer
        for name, layer in model.named_modules()
        if _mask_name(name) in masks and isinstance(layer, nn.Linear | nn.Conv2d) and _can(layer)
    }
    sparse = {
        name: layer
        for name, layer in masked.items()
        if int((~masks[_mask_name(name)]).sum()) >= sparsity * layer.weight.numel()
    }
    left = [layer for name, layer in masked.items() if name not in sparse]
    joined = [kind for kind in (nn.Linear, nn.Conv2d) if _are_small(kind, left, sparse.values())]
    return {
        name: layer
        for name, layer in masked.items()
        if name in sparse or isinstance(layer, tuple(joined))
    }


def _are_small(kind: type, left: Layers, sparse: Layers) -> bool:
    """Whether all layers of a kind that are left are small beside the sparse ones."""

    def largest(layers: Layers) -> int:
        return max((of.weight.numel() for of in layers if isinstance(of, kind)), default=0)

    return largest(left) < SMALL * largest(sparse)


def _mask_name(layer: str) -> str:
    return f"{layer}.weight" if layer else "weight"


def _can(layer: nn.Linear | nn.Conv2d) -> bool:
    if type(layer) not in (nn.Linear, nn.Conv2d) or "forward" in vars(layer):
        return False
    if isinstance(layer, nn.Conv2d) and (layer.groups != 1 or layer.padding_mode != "zeros"):
        return False
    weight = layer.weight
    return _is_plain(weight) and weight.numel() > 0


def _pools(model: nn.Module) -> list[nn.MaxPool2d | nn.AvgPool2d]:
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d)
        and type(module) in (nn.MaxPool2d, nn.AvgPool2d)
        and "forward" not in vars(module)
    ]


class _Retrained:
    """The forward pass of one layer, as long as it is changed."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, mask: Tensor) -> None:
        self.layer, self.mask = layer, mask.cpu()
        self.frozen: dict[tuple[int, ...], FrozenWeight] = {}

    def __call__(self, x: Tensor) -> Tensor:
        layer = self.layer
        if not self._fits(x):
            return type(layer).forward(layer, x)  # type: ignore[arg-type]
        if isinstance(layer, nn.Linear) and x.dim() != 2:
            flat = self._product(x.reshape(-1, x.shape[-1]), Window(layer.in_features))
            return flat.reshape(*x.shape[:-1], layer.out_features)
        return self._product(x, _window(layer, x))

    def _fits(self, x: Tensor) -> bool:
        layer, weight = self.layer, self.layer.weight
        learning = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
        if not learning or type(x) is not Tensor or torch.compiler.is_compiling():
            return False
        if not (_is_plain(x) and _is_plain(weight) and weight.shape == self.mask.shape):
            return False
        dense = weight.is_contiguous() or weight.is_contiguous(memory_format=torch.channels_last)
        if not dense:
            return False
        if layer.bias is not None and not _is_plain(layer.bias):
            return False
        if isinstance(layer, nn.Linear):
            return x.dim() >= 1 and x.shape[-1] == layer.in_features
        if x.dim() != 4 or x.shape[1] != layer.in_channels or min(x.shape[2:]) < 1:
            return False
        return _window(layer, x).possible(layer.out_channels)

    def _product(self, x: Tensor, window: Window) -> Tensor:
        weight, key = self.layer.weight, (window.h.size, window.w.size)
        frozen = self.frozen.get(key)
        if frozen is None or not frozen.fits(weight):
            frozen = self.frozen[key] = FrozenWeight(self.mask, weight, window)
        product = FrozenProduct.apply(x, weight, self.layer.bias, frozen)  # type: ignore[no-untyped-call]
        return cast("Tensor", product)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu"


def _window(layer: nn.Linear | nn.Conv2d, x: Tensor) -> Window:
    if isinstance(layer, nn.Linear):
        return Window(layer.in_features)
    sides = _sides(layer)
    axes = [
        ConvAxis(size, kernel, stride, dilation, *padding)
        for size, kernel, stride, dilation, padding in zip(
            x.shape[2:], layer.kernel_size, layer.stride, layer.dilation, sides, strict=True
        )
    ]
    return Window(layer.in_channels, *axes)


def _sides(layer: nn.Conv2d) -> list[tuple[int, int]]:
    """The padding (top, bottom) and (left, right)."""
    if not isinstance(layer.padding, str):
        return [(side, side) for side in layer.padding]
    if layer.padding == "valid":
        return [(0, 0), (0, 0)]
    totals = [
        reach * (kernel - 1)
        for reach, kernel in zip(layer.dilation, layer.kernel_size, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]
