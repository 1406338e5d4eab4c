"""Learning rates: how the rate goes over the steps of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from secateur.errors import TrainingError
from secateur.training_settings import Schedule, TrainingSpec

_RISE = 0.3
_LOWEST = 1 / 25


@dataclass(frozen=True)
class Rates:
    """The learning rate as a function of the share of a training that is done.

    After the warm-up, in which the rate rises in a straight line, and with `t` from 0 to 1 over
    what is left:

    - `constant`: the peak.
    - `cosine`: `(1 + cos(pi t)) / 2` of it (Loshchilov and Hutter 2017, arXiv 1608.03983,
      equation 5 without restarts).
    - `linear`: `1 - t` of it.
    - `step`: a tenth of it from each milestone on (He et al. 2016, arXiv 1512.03385, section 4.2).
    - `one-cycle`: up from a 25th along half a cosine for 30 % of the steps, or for the warm-up if
      there is one, then down to zero along another (Smith and Topin 2018, arXiv 1708.07120).

    Attributes:
        peak: The highest rate.
        schedule: One of these words.
        warmup: The share of the steps in which the rate rises.
        milestones: Of `step`: shares of the steps.
        begin: Where on the schedule the training begins: 0 at its start, 0.5 in its middle.

    Raises:
        TrainingError: The schedule is none of these.

    Example:
        >>> [Rates(1.0, "linear").at(step, 4) for step in range(4)]
        [1.0, 0.75, 0.5, 0.25]
    """

    peak: float
    schedule: str = "constant"
    warmup: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    begin: float = 0.0

    def __post_init__(self) -> None:
        if self.schedule not in get_args(Schedule):
            raise TrainingError(
                "planning learning rates",
                "the schedule",
                given=repr(self.schedule),
                expected=f"one of {', '.join(get_args(Schedule))}",
                remedy="Choose one of these words.",
            )

    def at(self, step: int, steps: int) -> float:
        """The rate of a step, counted from 0, of a training of so many."""
        return self.peak * self.factor(step, steps)

    def factor(self, step: int, steps: int) -> float:
        """The same as a share of the peak."""
        whole = max(steps, 1)
        done = self.begin + (1 - self.begin) * min(step / whole, 1)
        if self.schedule == "one-cycle":
            return _one_cycle(done, self.warmup or _RISE)
        if done < self.warmup:
            # The first step is not wasted on a rate of zero.
            return min(1.0, (done + (1 - self.begin) / whole) / self.warmup)
        left = (done - self.warmup) / (1 - self.warmup) if self.warmup else done
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * left))
        if self.schedule == "linear":
            return 1 - left
        if self.schedule == "step":
            return float(0.1 ** sum(done >= milestone for milestone in self.milestones))
        return 1.0


def _one_cycle(done: float, rise: float) -> float:
    if done < rise:
        return _LOWEST + (1 - _LOWEST) * 0.5 * (1 - math.cos(math.pi * done / rise))
    return 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))


def rates_of(spec: TrainingSpec, learning_rate: float | None = None) -> Rates:
    """The rates of the dense net's training, and of sparsity training.

    Args:
        spec: The settings.
        learning_rate: Instead of the settings' own.
    """
    peak = spec.learning_rate if learning_rate is None else learning_rate
    return Rates(peak, spec.schedule, spec.warmup, spec.milestones)


def retraining_rates(spec: TrainingSpec, epochs: int, hurt: float = 1.0) -> Rates:
    """The rates of a retraining, by the settings' `retrain`.

    `fine-tune` goes through `retrain_schedule` from `retrain_learning_rate` (unset: as the dense
    net's). `rewind-rate` repeats the dense net's last rates: with as many epochs as are retrained,
    from there to the end; all of them, stretched, if the retraining is longer (Renda et al. 2020,
    arXiv 2003.02389). `rewind-weights` goes on from `rewind_epoch`. `adaptive` falls in a straight
    line to zero from a start that depends on how much the cut hurt and on how long there is to
    mend it: `max(hurt, epochs / base_epochs)` of the peak (Zimmer et al. 2023, arXiv 2111.00843).

    Args:
        spec: The settings.
        epochs: Of the retraining.
        hurt: The relative norm of what was cut, over the square root of its share of the weights:
            1 for a cut at random, less for one of small weights.

    Example:
        >>> spec = TrainingSpec(base_epochs=8, schedule="linear", retrain="rewind-rate")
        >>> retraining_rates(spec, 2).begin
        0.75
    """
    usual = spec.retrain_learning_rate or spec.learning_rate
    if spec.retrain == "adaptive":
        room = min(1.0, epochs / spec.base_epochs) if spec.base_epochs else 1.0
        return Rates(usual * min(1.0, max(hurt, room)), "linear", spec.warmup)
    if spec.retrain == "fine-tune":
        schedule = spec.retrain_schedule or spec.schedule
        return Rates(usual, schedule, spec.warmup, spec.milestones)
    base = max(spec.base_epochs, 1)
    first = base - epochs if spec.kept_epoch is None else spec.kept_epoch
    return Rates(usual, spec.schedule, spec.warmup, spec.milestones, max(0, first) / base)


def build_schedule(optimizer: Optimizer, rates: Rates, steps: int) -> LambdaLR:
    """The learning rate over `steps` optimizer steps, to be advanced after each.

    Args:
        optimizer: Made with the peak as its rate.
        rates: How it goes.
        steps: Of the training.
    """
    return LambdaLR(optimizer, lambda step: rates.factor(step, steps))


def hurt(before: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> float:
    """How much a cut has hurt: the relative norm of what went, over the root of its share.

    `|w - w_cut| / |w| / sqrt(s)`, with `s` the share of the non-zero weights that went (Zimmer et
    al. 2023): 1 where as much of the norm went as at random, 0 where nothing did.

    Args:
        before: Parameter name -> its values before the cut.
        masks: Parameter name -> what was kept.

    Example:
        >>> import torch
        >>> weights = {"w": torch.tensor([3.0, 4.0, 0.0])}
        >>> round(hurt(weights, {"w": torch.tensor([False, True, False])}), 4)
        0.8485
    """
    whole = gone = 0.0
    count = lost = 0
    for name, mask in masks.items():
        weights = before[name].double()
        whole += float(weights.square().sum())
        gone += float(weights[~mask].square().sum())
        count += int(weights.count_nonzero())
        lost += int(weights[~mask].count_nonzero())
    return math.sqrt(gone / whole / (lost / count)) if lost else 0.0
