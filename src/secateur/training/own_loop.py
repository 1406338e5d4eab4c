"""A training loop of the user's own: what it is given, and what is checked when it is done.

A study file names it as `train = "mine:train"`. It is called as `train(model, run)`, trains the
model in place for `run.epochs` epochs, holds pruned weights at zero with `run.freeze(optimizer)`,
and reports each epoch with `run.report(...)`: that is what the budget counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from secateur.data.data import Batch, Data, SplitName
from secateur.errors import TrainingError
from secateur.pruning.masks import Masks
from secateur.tasks.task import Task, forward
from secateur.training.epoch import Epoch
from secateur.training.fit import check_weights, stream
from secateur.training_settings import TrainingSpec

Train = Callable[[nn.Module, "TrainingRun"], object]
"""`train(model, run)`: trains the model in place."""


@dataclass
class TrainingRun:
    """One training, as a loop of the user's own sees it.

    Attributes:
        epochs: How many to train, each to be reported.
        seed: For whatever the loop draws; torch's generator is seeded with it already.
        device: Where the model is.
        data: The study's, on that device.
        settings: The `[training]` of the study.
        task: The study's task.
        metric: The word of the metric that chooses.
        masks: What is kept of each pruned weight; empty where nothing is.
    """

    epochs: int
    seed: int
    device: torch.device
    data: Data
    settings: TrainingSpec
    task: Task
    metric: str
    masks: Masks
    _model: nn.Module
    _penalty: Callable[[], Tensor] | None = None
    _on_epoch: Callable[[Epoch], None] | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _curve: list[Epoch] = field(default_factory=list)
    _asked: bool = False

    def freeze(self, optimizer: Any) -> None:
        """Hold every pruned weight at exactly zero through the optimizer's steps.

        Args:
            optimizer: Any optimizer, however it is wrapped.

        Raises:
            MaskError: It trains none of the model's weights.
        """
        if self.masks:
            self._open.enter_context(self.masks.freeze(optimizer, self._model))

    def penalty(self) -> Tensor:
        """A term to add to the loss of every batch; zero but in sparsity training."""
        self._asked = True
        return torch.zeros((), device=self.device) if self._penalty is None else self._penalty()

    def batches(self, split: SplitName = "train", *, epoch: int = 0) -> Iterator[Batch]:
        """The batches of a split: the training split's shuffled, by the seed and the epoch."""
        order = None
        if split == "train":
            order = torch.Generator().manual_seed(stream(self.seed, "order", epoch))
        return self.data.batches(split, self.settings.batch_size, generator=order)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The task's loss of a batch, the penalty included."""
        return self.task.loss(forward(model, batch[0]), batch) + self.penalty()

    def report(self, *, loss: float, **metrics: float) -> None:
        """Say that an epoch is over.

        Args:
            loss: The mean training loss an example.
            **metrics: On the validation split, by the task's words; they stand in the curve.

        Raises:
            TrainingError: More epochs than were asked for, or a number that is not finite.
        """
        number = len(self._curve) + 1
        if number > self.epochs:
            raise _refuse("the epochs", f"more than {self.epochs}", f"{self.epochs}, `run.epochs`")
        for name, value in (("loss", loss), *metrics.items()):
            if not _is_finite(value):
                given = f"{value!r:.60}"
                raise _refuse(f"the {name} of epoch {number}", given, "a finite number")
        found = metrics.get(self.metric, metrics.get(f"val_{self.metric}"))
        entry = Epoch(number, float(loss), None if found is None else float(found), self.metric)
        self._curve.append(entry)
        if self._on_epoch:
            self._on_epoch(entry)


def train_own(
    train: Train,
    model: nn.Module,
    data: Data,
    settings: TrainingSpec,
    task: Task,
    metric: str,
    *,
    epochs: int,
    seed: int,
    device: torch.device,
    masks: Masks | None = None,
    penalty: Callable[[], Tensor] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> tuple[Epoch, ...]:
    """Train a model by a loop of the user's own, and check what it leaves.

    Args:
        train: The loop.
        model: Trained in place, and left on the device.
        data: The study's.
        settings: Passed on.
        task: Passed on.
        metric: The word of the metric that chooses.
        epochs: What the loop has to report.
        seed: Of torch's generator, and passed on.
        device: Where to train.
        masks: What has to be zero afterwards.
        penalty: What the loop has to add to its loss.
        on_epoch: Called at each report.

    Returns:
        The epochs reported.

    Raises:
        TrainingError: Another number of epochs was reported, a pruned weight is no longer zero, a
            weight is not finite, or the penalty was never asked for.
    """
    if not epochs:
        return ()
    held = masks if masks is not None else Masks({})
    model.to(device).train()
    run = TrainingRun(
        epochs, seed, device, data.to(device), settings, task, metric, held, model, penalty,
        on_epoch,
    )  # fmt: skip
    draws = torch.random.fork_rng([device] if device.type == "cuda" else [])
    with draws, run._open:
        torch.manual_seed(stream(seed, "dropout"))
        train(model, run)
    _check(run, model)
    return tuple(run._curve)


def _check(run: TrainingRun, model: nn.Module) -> None:
    reported = len(run._curve)
    if reported != run.epochs:
        raise _refuse("the epochs", f"{reported} reported", f"{run.epochs}, `run.epochs`")
    if run._penalty is not None and not run._asked:
        raise TrainingError(
            "training by a loop of your own",
            "sparsity training",
            given="without its penalty, which was never asked for",
            expected="run.penalty() added to the loss of each batch",
            remedy="Add it, or leave out the methods with a sparsity training.",
        )
    check_weights(model, reported)
    for name, parameter in run.masks.parameters_of(model).items():
        revived = int(parameter.detach()[~run.masks[name].to(parameter.device)].count_nonzero())
        if revived:
            raise TrainingError(
                "training by a loop of your own",
                name,
                given=f"no longer zero at {revived} pruned elements",
                expected="exact zeros wherever the masks have one",
                remedy="Call run.freeze(optimizer) for each optimizer before its first step.",
            )


def _is_finite(value: Any) -> bool:
    """Of whatever can be made a number: a loss may come as a tensor, or as one of NumPy's."""
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, RuntimeError):  # no number; a tensor of several
        return False


def _refuse(subject: str, given: str, expected: str) -> TrainingError:
    return TrainingError(
        "training by a loop of your own",
        subject,
        given=given,
        expected=expected,
        remedy="Train run.epochs epochs, and call run.report(loss=...) after each.",
    )
