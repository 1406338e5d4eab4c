"""Batch norms over ranks: each normalises by the whole batch, not by its own share of it.

torch's `SyncBatchNorm` does the same on GPUs only, and lets no rank stand by without an example.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from secateur.pruning.ranks import world


@dataclass
class SharedNorms:
    """What the norms of a network know of its ranks.

    Attributes:
        layers: The norms.
        counts: Whether this rank's examples count in the statistics; set before each batch.
    """

    layers: list[_BatchNorm]
    counts: bool = True


@contextmanager
def shared_norms(model: nn.Module, patience: float = 1800.0) -> Iterator[SharedNorms]:
    """While it lasts, the model's batch norms take mean and variance over all ranks, in training.

    Args:
        model: Its layers are given back as they were. One whose class has a forward pass of its own
            is left alone, and normalises by its rank's share.
        patience: Seconds that a rank waits for the others.

    Example:
        >>> with shared_norms(nn.BatchNorm1d(2)) as norms:
        ...     len(norms.layers)
        0
    """
    layers = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm)
        and type(module).forward is _BatchNorm.forward
        and "forward" not in vars(module)
        and world() > 1
    ]
    shared = SharedNorms(layers)
    # A group of their own: gradients are under way in the other one meanwhile.
    wait = timedelta(seconds=patience)
    group = distributed.new_group(timeout=wait) if layers else None
    for layer in layers:
        layer.forward = partial(_forward, layer, shared, group)  # type: ignore[method-assign]
    try:
        yield shared
    finally:
        for layer in layers:
            del layer.forward
        if group is not None:
            distributed.destroy_process_group(group)


def _forward(layer: _BatchNorm, shared: SharedNorms, group: Any, images: Tensor) -> Tensor:
    if not layer.training:
        return _BatchNorm.forward(layer, images)
    layer._check_input_dim(images)  # type: ignore[no-untyped-call]
    out, mean, variance, count = _Normalise.apply(  # type: ignore[no-untyped-call]
        images, layer.weight, layer.bias, layer.eps, shared.counts, group
    )
    if layer.track_running_stats and layer.running_mean is not None:
        _track(layer, mean, variance * count / (count - 1).clamp_min(1))
    return out  # type: ignore[no-any-return]


@torch.no_grad()
def _track(layer: Any, mean: Tensor, variance: Tensor) -> None:
    layer.num_batches_tracked.add_(1)
    factor = layer.momentum
    if factor is None:
        factor = 1.0 / float(layer.num_batches_tracked)
    for kept, new in ((layer.running_mean, mean), (layer.running_var, variance)):
        kept.mul_(1 - factor).add_(new.to(kept.dtype), alpha=factor)


class _Normalise(torch.autograd.Function):
    """A batch norm in training; its statistics and their gradients are of all ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        counts: bool,
        group: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values = _precise(images)
        own = images.numel() // images.shape[1] if counts else 0
        mean, variance, count = _statistics(values, own, group)
        scale = (variance + eps).rsqrt()
        ctx.save_for_backward(images, weight, mean, scale, count)
        ctx.counts, ctx.group = counts, group
        ctx.mark_non_differentiable(mean, variance, count)
        out = (values - _wide(mean, values)) * _wide(scale, values)
        if weight is not None:
            out = out * _wide(weight, values)
        if bias is not None:
            out = out + _wide(bias, values)
        return out.to(images.dtype), mean, variance, count

    @staticmethod
    def backward(ctx: Any, slope: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        images, weight, mean, scale, count = ctx.saved_tensors
        values, slope = _precise(images), _precise(slope)
        normal = (values - _wide(mean, values)) * _wide(scale, values)
        axes = _axes(values)
        sums = torch.stack([slope.sum(axes), (slope * normal).sum(axes)])
        # Each rank's own part: the gradients of the parameters are averaged later, as all are.
        by_bias, by_weight = sums[0].clone(), sums[1].clone()
        distributed.all_reduce(sums, group=ctx.group)
        found = slope
        if ctx.counts:
            whole = sums / count
            found = slope - _wide(whole[0], values) - normal * _wide(whole[1], values)
        found = found * _wide(scale if weight is None else scale * weight, values)
        if weight is None:
            return found.to(images.dtype), None, None, None, None, None
        kind = weight.dtype
        return found.to(images.dtype), by_weight.to(kind), by_bias.to(kind), None, None, None


def _statistics(values: Tensor, own: int, group: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of each channel over all ranks, and of how many numbers."""
    variance, mean = torch.var_mean(values, _axes(values), correction=0)
    here = torch.cat([mean, variance, mean.new_full((1,), float(own))])
    every = [torch.empty_like(here) for _ in range(distributed.get_world_size(group))]
    distributed.all_gather(every, here, group=group)
    means, variances, counts = torch.split(torch.stack(every), [len(mean), len(mean), 1], dim=1)
    count = counts.sum()
    shared = (counts * means).sum(0) / count
    return shared, (counts * (variances + (means - shared).square())).sum(0) / count, count


def _axes(values: Tensor) -> list[int]:
    return [axis for axis in range(values.dim()) if axis != 1]


def _wide(channels: Tensor, values: Tensor) -> Tensor:
    return channels.view(1, -1, *[1] * (values.dim() - 2))


def _precise(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.element_size() < 4 else tensor
