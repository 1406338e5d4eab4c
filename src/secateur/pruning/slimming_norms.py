"""Slimming norms: the batch-norm scales that sparsity training pushes towards zero.

A convolution that a batch norm follows already lends that norm's scale. Any other gets a norm of
its own, put in by a forward hook, so that the model's modules keep their names and types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from secateur.foundation.run_example import Inputs, batch_size, run_example, take_rows
from secateur.pruning.criterion import Statistics
from secateur.pruning.filters import following_norms

_NAME = "slimming_norm"
_RANKS: Mapping[int, type[_BatchNorm]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}


@dataclass(frozen=True)
class Instrumented:
    """A network with a batch norm behind each convolution.

    Attributes:
        scales: Name of each convolution's weight -> the live scale behind it.
        inserted: Names of the convolutions that were given a norm.
    """

    scales: Mapping[str, nn.Parameter]
    inserted: tuple[str, ...]

    def penalty(self) -> Tensor:
        """The L1 norm of all scales (Liu et al. 2017, equation 1, with g(s) = |s|)."""
        return torch.stack([scale.abs().sum() for scale in _distinct(self.scales)]).sum()

    def statistics(self) -> Statistics:
        """The scales as they are now, for the criterion `scale`."""
        return Statistics(scales={name: s.detach().clone() for name, s in self.scales.items()})


def _distinct(scales: Mapping[str, nn.Parameter]) -> list[nn.Parameter]:
    return list({id(scale): scale for scale in scales.values()}.values())


def insert_norms(model: nn.Module, images: Inputs) -> Instrumented:
    """Put a batch norm behind each convolution that has none, in place.

    The function of the model does not change at that moment: each new norm starts with the mean
    and variance of its channel over `images`, and what it takes away is given back by its shift
    and by a fixed gain. Every scale so starts at 1, whatever the amplitude of its channel, as
    in a net that was built with norms; a layer of small activations is not cut first.

    Args:
        model: Changed in place; pass a copy.
        images: A batch, normalised as in training; larger batches give steadier statistics.

    Returns:
        The scales of all convolutions.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
        >>> images = torch.randn(8, 1, 6, 6)
        >>> before = net.eval()(images)
        >>> insert_norms(net, images).inserted
        ('0',)
        >>> torch.allclose(net.eval()(images), before, atol=1e-5)
        True
    """
    existing = following_norms(model, take_rows(images, range(min(2, batch_size(images)))))
    modules = dict(model.named_modules())
    scales: dict[str, nn.Parameter] = {}
    fresh: dict[str, _ConvNd] = {}
    for name, module in modules.items():
        if not isinstance(module, _ConvNd):
            continue
        norm = modules.get(existing.get(name, "-"))
        if isinstance(norm, _BatchNorm) and norm.weight is not None:
            scales[_weight(name)] = norm.weight
        else:
            fresh[name] = module
    moments = _output_moments(model, fresh, images)
    for name, module in fresh.items():
        if name not in moments:
            continue
        undone = _UndoneNorm(module, *moments[name])
        module.add_module(_NAME, undone)
        module.register_forward_hook(_normalise)
        scales[_weight(name)] = undone.norm.weight
    ordered = {_weight(n): scales[_weight(n)] for n in modules if _weight(n) in scales}
    return Instrumented(ordered, tuple(name for name in fresh if name in moments))


def norm_scales(model: nn.Module, example: Inputs) -> Statistics:
    """The scales of the batch norms that follow the model's convolutions already.

    Args:
        model: Left as it is.
        example: A batch that the model accepts.
    """
    modules = dict(model.named_modules())
    found = {
        _weight(conv): modules[norm].weight
        for conv, norm in following_norms(model, example).items()
    }
    return Statistics(
        scales={name: s.detach().clone() for name, s in found.items() if isinstance(s, Tensor)}
    )


def _weight(module: str) -> str:
    return f"{module}.weight" if module else "weight"


def _normalise(module: nn.Module, _: object, output: Tensor) -> Tensor:
    normalised: Tensor = getattr(module, _NAME)(output)
    return normalised


def _output_moments(
    model: nn.Module, convs: Mapping[str, _ConvNd], images: Inputs
) -> dict[str, tuple[Tensor, Tensor]]:
    moments: dict[str, tuple[Tensor, Tensor]] = {}

    def watch(name: str) -> object:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            axes = [axis for axis in range(output.ndim) if axis != 1]
            variance, mean = torch.var_mean(output, dim=axes, correction=0)
            moments.setdefault(name, (mean, variance))

        return hook

    handles = [
        module.register_forward_hook(watch(name))  # type: ignore[arg-type]
        for name, module in convs.items()
    ]
    try:
        run_example(model, images)
    finally:
        for handle in handles:
            handle.remove()
    return moments


class _UndoneNorm(nn.Module):
    """A batch norm and a fixed gain a channel that together start as the identity."""

    gain: Tensor

    def __init__(self, module: _ConvNd, mean: Tensor, variance: Tensor) -> None:
        super().__init__()
        rank = len(module.kernel_size)
        self.norm = _RANKS[rank](module.out_channels, device=mean.device, dtype=mean.dtype)
        deviation = (variance + self.norm.eps).sqrt()
        self.register_buffer("gain", deviation.reshape(-1, *[1] * rank))
        with torch.no_grad():
            self.norm.running_mean.copy_(mean)  # type: ignore[union-attr]
            self.norm.running_var.copy_(variance)  # type: ignore[union-attr]
            self.norm.bias.copy_(mean / deviation)
        self.train(module.training)

    def forward(self, output: Tensor) -> Tensor:
        normalised: Tensor = self.norm(output)
        return normalised * self.gain
