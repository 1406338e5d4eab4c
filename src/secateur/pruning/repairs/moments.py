"""Moments: the mean and the variance of each channel of a layer's output, brought back.

With mean m and standard deviation s of a channel over all examples and places, in the dense network
and in the cut one, the layer's weight and bias become

    scale = s_dense / s_cut,   weight <- scale weight,   bias <- scale bias + m_dense - scale m_cut

where `bias` leaves the scale at 1. A norm's affine is such a weight and bias, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from secateur.pruning.channel_axis import channel_axis
from secateur.pruning.layerwise import (
    LayerParameters,
    by_channel,
    mend_layers,
    mendable,
    parameters_of_layers,
    scale_channels,
)
from secateur.pruning.mended import Mended
from secateur.pruning.repair import Calibration

MOST = 4.0
"""The largest factor: a channel that hardly varies any more is mostly noise, and not worth more."""


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel.

    Attributes:
        n: How many values of a channel.
        mean: float64, on the CPU, shape `[channels]`.
        variance: Likewise, with divisor n.
    """

    n: int
    mean: Tensor
    variance: Tensor

    @classmethod
    def of(cls, output: Tensor, axis: int) -> Moments:
        """Those of a tensor whose channels lie along an axis.

        Example:
            >>> found = Moments.of(torch.tensor([[1.0, 2.0], [3.0, 2.0]]), 1)
            >>> found.n, found.mean.tolist(), found.variance.tolist()
            (2, [2.0, 2.0], [1.0, 0.0])
        """
        wide = output.detach() if output.dtype == torch.float64 else output.detach().float()
        others = [one for one in range(output.dim()) if one != axis]
        variance, mean = torch.var_mean(wide, others, correction=0)
        n = output.numel() // max(output.shape[axis], 1)
        return cls(n, mean.cpu().double(), variance.cpu().double())

    def merged(self, other: Moments) -> Moments:
        """Those of both together (Chan, Golub and LeVeque 1979)."""
        n = self.n + other.n
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.n / n)
        variance = (self.n * self.variance + other.n * other.variance) / n
        return Moments(n, mean, variance + apart.square() * (self.n * other.n / n**2))


def match(calibration: Calibration, kind: str, *, scaling: bool) -> Mended:
    """Bring back the mean, and with `scaling` the deviation, of every channel of every layer.

    Args:
        calibration: The networks and the batches.
        kind: The name of the repair.
        scaling: Whether deviations are brought back, too.

    Returns:
        What was done. Layers without a bias are left alone.
    """
    layers, left = mendable(calibration, norms=True)
    parameters = parameters_of_layers(calibration, layers)
    for name in [name for name, own in parameters.items() if own.bias is None]:
        left = (*left, (name, "it has no bias of its own"))
        del layers[name]
    if scaling:
        fixed = [name for name in layers if parameters[name].weight is None]
        left = (*left, *((name, "its mean only: its weight is not its own") for name in fixed))
    return mend_layers(calibration, kind, layers, _Matching(layers, parameters, scaling), left)


@dataclass
class _Known:
    """What is known of one layer, and the change that follows from it."""

    dense: Moments | None = None
    cut: Moments | None = None
    scale: Tensor = field(default_factory=lambda: torch.ones(0))
    shift: Tensor = field(default_factory=lambda: torch.zeros(0))


class _Matching:
    """Matches moments; a layer's parameters are written when all batches have gone through."""

    done = False

    def __init__(
        self,
        layers: Mapping[str, nn.Module],
        parameters: Mapping[str, LayerParameters],
        scaling: bool,
    ) -> None:
        self._layers, self._parameters, self._scaling = layers, parameters, scaling
        self._known = {name: _Known() for name in layers}

    def note(self, name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> Moments:
        """The moments of the layer's output before the cut."""
        del name, inputs
        return Moments.of(output, channel_axis(module, output))

    def mend(
        self, name: str, module: nn.Module, inputs: Tensor, output: Tensor, noted: Moments
    ) -> Tensor:
        """Learn from a batch, and give the output as it should be by what is known so far."""
        del inputs
        known, own = self._known[name], self._parameters[name]
        found = Moments.of(output, channel_axis(module, output))
        known.dense = noted if known.dense is None else known.dense.merged(noted)
        known.cut = found if known.cut is None else known.cut.merged(found)
        known.scale, known.shift = _change(
            known.dense, known.cut, own, scaling=self._scaling and own.weight is not None
        )
        if not _is_change(known):
            return output
        scale, shift = (by_channel(one, module, output) for one in (known.scale, known.shift))
        return output * scale + shift

    def close(self) -> Iterable[str]:
        """Write weights and biases; the layers that changed."""
        for name, known in self._known.items():
            if not _is_change(known):
                continue
            module, own = self._layers[name], self._parameters[name]
            if own.weight is not None and bool((known.scale != 1).any()):
                wide = own.weight.detach().cpu().double()
                own.weight.copy_(scale_channels(module, wide, known.scale))
            if own.bias is not None:
                wide = own.bias.detach().cpu().double()
                own.bias.copy_(wide * known.scale + known.shift)
            yield name


def _change(
    dense: Moments, cut: Moments, own: LayerParameters, *, scaling: bool
) -> tuple[Tensor, Tensor]:
    scale = torch.ones_like(cut.mean)
    if scaling:
        alive = (cut.variance > 0) & (dense.variance > 0)
        ratio = (dense.variance / cut.variance).sqrt().clamp(1 / MOST, MOST)
        scale = torch.where(alive, ratio, scale)
    if own.bias_kept is not None:  # a channel that was cut stays zero
        scale = torch.where(own.bias_kept.cpu(), scale, 1.0)
    shift = dense.mean - scale * cut.mean
    if own.bias_kept is not None:
        shift = torch.where(own.bias_kept.cpu(), shift, 0.0)
    return scale, shift


def _is_change(known: _Known) -> bool:
    return bool((known.scale != 1).any() or (known.shift != 0).any())
