"""Outputs: what each channel of a layer gives behind its activation, one number a channel."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from secateur.pruning.channel_axis import channel_axis
from secateur.pruning.statistics.followed import Followed
from secateur.pruning.weights import Weight

RANKED = 500
"""Of how many examples the ranks are taken: few are enough, as HRank's paper finds."""


class OutputMeans:
    """Of each linear layer and convolution `[outputs]`: the mean absolute output.

    Over all examples and places, behind the norm and the activation that follow the layer; see
    `Followed`. Other layers are left out.
    """

    backward = False

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._followed = Followed(weights, model, self._seen)

    def note(self) -> None:
        """Nothing is left to do after a batch: the outputs have been seen."""

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> means; layers that no batch reaches are missing."""
        self._followed.remove()
        return {name: one / self._counts[name] for name, one in self._sums.items()}

    def _seen(self, name: str, module: nn.Module, output: Tensor) -> None:
        if not output.is_floating_point():
            return
        self._take(name, _maps(module, output.detach()))

    def _take(self, name: str, maps: Tensor) -> None:
        """Add what is told by the outputs of a batch, `[examples, outputs, ...]`."""
        total = self._term(maps).sum([axis for axis in range(maps.dim()) if axis != 1])
        self._add(name, total, maps.numel() // max(1, total.numel()))

    def _term(self, maps: Tensor) -> Tensor:
        return maps.abs().double()

    def _add(self, name: str, total: Tensor, count: int) -> None:
        self._sums[name] = self._sums.get(name, torch.zeros_like(total)) + total
        self._counts[name] = self._counts.get(name, 0) + count


class PositiveOutputs(OutputMeans):
    """The share of outputs above zero, likewise: one minus the average percentage of zeros."""

    def _term(self, maps: Tensor) -> Tensor:
        return (maps > 0).double()


class OutputRanks(OutputMeans):
    """The mean over the first `RANKED` examples of the rank of each feature map, likewise.

    Layers whose outputs are no maps (linear ones, convolutions along one axis) are left out; of a
    volume each slice is a map.
    """

    def _take(self, name: str, maps: Tensor) -> None:
        maps = maps[: max(0, RANKED - self._counts.get(name, 0))]
        if maps.dim() < 4 or not len(maps):
            return
        ranks = torch.linalg.matrix_rank(maps.double()).double()
        ranks = ranks.reshape(*ranks.shape[:2], -1).mean(dim=2)
        self._add(name, ranks.sum(dim=0), ranks.shape[0])


class OutputSlopes(OutputMeans):
    """The mean over examples of the absolute first-order effect of zeroing a channel, likewise.

    It is the sum over a channel's places of output times gradient; the gradient is that of the
    example's own loss, which is taken to be its share of the batch's mean.
    """

    backward = True

    def _seen(self, name: str, module: nn.Module, output: Tensor) -> None:
        if not output.requires_grad:
            return
        values = output.detach().to(torch.float64, copy=True)  # it may be overwritten later

        def with_gradient(gradient: Tensor) -> None:
            maps = _maps(module, values * gradient.double())
            effects = maps.reshape(*maps.shape[:2], -1).sum(dim=2) * maps.shape[0]
            self._add(name, effects.abs().sum(dim=0), maps.shape[0])

        output.register_hook(with_gradient)  # type: ignore[no-untyped-call]


def _maps(module: nn.Module, output: Tensor) -> Tensor:
    """As `[examples, channels, ...]`, whatever is in front of the channels."""
    axis = channel_axis(module, output)
    return output.movedim(axis, 1) if axis else output.unsqueeze(0)
