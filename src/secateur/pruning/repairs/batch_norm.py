"""Batch-norm recalibration: running statistics of the cut network instead of the dense one's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from secateur.errors import UsageError
from secateur.pruning.mended import Mended
from secateur.pruning.repair import Calibration, Repair


def recalibrate(calibration: Calibration) -> Mended:
    """Gather the running mean and variance of every batch norm anew.

    Each batch normalises itself on the way, as in training; a running statistic is the average of
    the batches', each weighted by how many values it has of a channel. Everything else is in
    evaluation mode.

    Args:
        calibration: The cut network and the batches.

    Returns:
        The norms that have new statistics; left alone is one that no batch reaches, or that keeps
        no statistics.
    """
    norms = {
        name: module
        for name, module in calibration.model.named_modules()
        if isinstance(module, _NormBase)
    }
    keeping = {name: norm for name, norm in norms.items() if norm.running_mean is not None}
    averages = {name: _Average(norm) for name, norm in keeping.items()}
    for batch in calibration.batches():
        with _training(averages):
            calibration.run(batch)
    reached = tuple(name for name, one in averages.items() if one.seen)
    left = [(name, "it keeps no statistics") for name in norms if name not in keeping]
    left += [(name, "no batch reaches it") for name in keeping if name not in reached]
    return Mended("batch-norm", reached, tuple(left))


class _Average:
    """The weighted average of one norm's batches, kept by setting its momentum before each."""

    def __init__(self, norm: _NormBase) -> None:
        self.norm = norm
        self.seen = 0

    def begin(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Weight the batch that comes by its values of a channel."""
        if not inputs or not isinstance(inputs[0], Tensor) or not inputs[0].numel():
            return
        values = inputs[0].numel() // self.norm.num_features
        if values < 2:
            raise UsageError(
                "repairing by batch-norm",
                "a batch",
                given="with one value of a channel",
                expected="two or more, which have a variance",
                remedy="Pass larger batches; drop a last batch of a single example.",
            )
        if not self.seen:
            self.norm.reset_running_stats()
        self.seen += values
        self.norm.momentum = values / self.seen


@contextmanager
def _training(averages: dict[str, _Average]) -> Iterator[None]:
    """While open, these norms alone are in training mode."""
    before = [(one.norm, one.norm.momentum) for one in averages.values()]
    hooks = [one.norm.register_forward_pre_hook(one.begin) for one in averages.values()]
    for norm, _ in before:
        norm.training = True
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for norm, momentum in before:
            norm.training, norm.momentum = False, momentum


REPAIR = Repair(
    summary="The running statistics of batch norms, gathered anew.",
    source="Li et al. 2020, EagleEye, arXiv 2007.02491; Hubara et al. 2020, arXiv 2006.10518",
    run=recalibrate,
)
