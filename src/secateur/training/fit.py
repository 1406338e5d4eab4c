"""Fit: train a network for some epochs, with pruned weights held at zero."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from secateur.data.data import Data
from secateur.errors import TrainingError
from secateur.point import Score
from secateur.pruning.cutter import Cutter
from secateur.pruning.masks import Masks
from secateur.pruning.ranks import (
    alone,
    check_masks_agree,
    check_weights_agree,
    first,
    rank,
)
from secateur.tasks.classification import Classification
from secateur.tasks.task import Task
from secateur.training.device import fabric_for, resolve_device
from secateur.training.dropout import byte_dropout
from secateur.training.epoch import Epoch
from secateur.training.epoch_pass import EpochPass
from secateur.training.learning_rate import Rates, build_schedule, rates_of
from secateur.training.optimizer import build_optimizer
from secateur.training.rank_group import fabric_of_ranks, is_joined
from secateur.training.score import score
from secateur.training.shared_norm import SharedNorms, shared_norms
from secateur.training.teacher import Teacher
from secateur.training.together import train_together
from secateur.training_settings import TrainingSpec

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def stream(seed: int, *names: object) -> int:
    """A seed for one use of randomness, independent of every other use.

    Example:
        >>> stream(0, "base") == stream(0, "retrain")
        False
    """
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")


def fit(
    model: nn.Module,
    data: Data,
    spec: TrainingSpec | None = None,
    *,
    epochs: int,
    seed: int = 0,
    learning_rate: float | None = None,
    rates: Rates | None = None,
    masks: Masks | None = None,
    cutter: Cutter | None = None,
    teacher: Teacher | None = None,
    penalty: Callable[[], Tensor] | None = None,
    task: Task | None = None,
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    measure: Callable[[nn.Module, Data], Score] | None = None,
) -> tuple[Epoch, ...]:
    """Train `model` in place on the training split.

    The same arguments on the same machine and number of threads give the same bits.

    With `spec.devices` above 1 so many processes train together, each on a device of its own and
    on its share of every batch; the batch stays `spec.batch_size`, so steps and learning rates are
    the same. Batch norms normalise by the whole batch, dropout is drawn by each rank for itself,
    the first rank alone measures and tells. The others are started here, unless `torchrun` has
    started this script, or a process group is up: then every rank calls this alike, `masks`,
    `cutter` and `penalty` included.

    Args:
        model: Trained in place and left on the device, in channels_last.
        data: All three splits; only `train` is trained on, only `val` is looked at.
        spec: Optimizer, batch size and the like; the study's defaults if None.
        epochs: How often the training split is gone through.
        seed: Fixes the order, the augmentation and dropout.
        learning_rate: Instead of the settings' own.
        rates: How the learning rate goes, instead of the settings' schedule.
        masks: Held at zero throughout.
        cutter: Cuts the model at steps of the optimizer, and holds what it has cut.
        teacher: Its answers count in the loss of each batch; on the device from now on.
        penalty: Added to the loss of each batch.
        task: Gives the loss and the metric; classification if None.
        device: As `resolve_device` reads it.
        on_epoch: Called after each epoch, on the first rank.
        measure: Gives the score of an epoch; the task's first metric on the validation split, if
            None.

    Returns:
        One entry an epoch.

    Raises:
        TrainingError: The loss or a weight is not finite; of several ranks one fails, dies, or is
            silent for too long.
        DataError: The data are not what the task is fed with.
        ModelError: The network's answer is not what the task needs, or the loss is no scalar.
        DeviceError: The device is absent.
        UsageError: There is a teacher, and the task compares no answers; or this process belongs
            to a group of another number of ranks.
    """
    task = task or Classification()
    task.check(data, "training")
    spec = spec or TrainingSpec()
    rates = rates or rates_of(spec, learning_rate)
    training = _Training(
        model, data, spec, epochs, seed, rates, task, masks, cutter, teacher, penalty
    )
    if spec.devices == 1:
        target = resolve_device(device)
        with alone():
            return training.run(target, fabric_for(target, spec.precision), on_epoch, measure)
    if not is_joined():  # it is sent to other processes, whatever device it is on
        training.move("cpu")
    return train_together(
        training,
        device,
        spec.devices,
        lambda target, patience: training.run_on(target, patience, on_epoch, measure),
    )


@dataclass
class _Training:
    """All that a training is made of, as each of its ranks is given it."""

    model: nn.Module
    data: Data
    spec: TrainingSpec
    epochs: int
    seed: int
    rates: Rates
    task: Task
    masks: Masks | None
    cutter: Cutter | None
    teacher: Teacher | None
    penalty: Callable[[], Tensor] | None

    def move(self, target: torch.device | str) -> None:
        """Have the nets and the data on a device."""
        self.data = self.data.to(target)
        self.model.to(target)
        if self.teacher is not None:
            self.teacher.model.to(target)

    def run_on(
        self,
        target: torch.device,
        patience: float,
        on_epoch: Callable[[Epoch], None] | None = None,
        measure: Callable[[nn.Module, Data], Score] | None = None,
    ) -> tuple[Epoch, ...]:
        """Be one of several ranks, each of which waits so many seconds for the others."""
        with shared_norms(self.model, patience) as norms:
            fabric = fabric_of_ranks(target, self.spec.precision)
            with warnings.catch_warnings():
                # That every parameter was used is no news: it is looked at for nets where not.
                warnings.filterwarnings("ignore", message=".*find_unused_parameters=True")
                return self.run(target, fabric, on_epoch, measure, norms)

    def run(
        self,
        target: torch.device,
        fabric: Fabric,
        on_epoch: Callable[[Epoch], None] | None = None,
        measure: Callable[[nn.Module, Data], Score] | None = None,
        norms: SharedNorms | None = None,
    ) -> tuple[Epoch, ...]:
        """Train; only the first rank measures and tells."""
        self.move(target)
        model, spec, cutter, teacher = self.model, self.spec, self.cutter, self.teacher
        order = torch.Generator().manual_seed(stream(self.seed, "order"))
        _lay_out(model)
        if teacher is not None:
            _lay_out(teacher.model)
        optimizer = build_optimizer(model, spec, self.rates.peak)
        steps = self.epochs * steps_an_epoch(self.data, spec)
        schedule = build_schedule(optimizer, self.rates, steps)
        curve: list[Epoch] = []
        # Dropout draws from torch's global generator, which is the caller's again afterwards.
        own_draws = torch.random.fork_rng([target] if target.type == "cuda" else [])
        with ExitStack() as held, own_draws, byte_dropout(model):
            torch.manual_seed(stream(self.seed, "dropout", *([rank()] if rank() else [])))
            trained, stepper = fabric.setup(model, optimizer)
            if self.masks is not None:
                check_masks_agree(self.masks)
                held.enter_context(self.masks.freeze(optimizer, model))
            if cutter is not None:
                held.callback(cutter.stop)
                cutter.start(model, [optimizer], 0)

            def stepped(steps: int) -> None:
                if cutter is not None:
                    cutter.step(model, [optimizer], steps)

            for number in range(1, self.epochs + 1):
                taught = teacher if teacher is not None and number <= teacher.epochs else None
                pass_ = EpochPass(
                    fabric, trained, stepper, schedule, self.data, spec, self.task, taught,
                    self.penalty, stepped, number, norms,
                )  # fmt: skip
                loss = pass_.run(order)
                check_weights(model, number)
                check_weights_agree(model)
                curve.append(first(lambda: self._seen(number, loss, measure)))  # noqa: B023
                if on_epoch and rank() == 0:
                    on_epoch(curve[-1])
        return tuple(curve)

    def _seen(
        self, number: int, loss: float, measure: Callable[[nn.Module, Data], Score] | None
    ) -> Epoch:
        if measure is None:
            found = score(self.model, self.data, "val", self.task, self.spec.batch_size)[0]
        else:
            found = measure(self.model, self.data)
        return Epoch(number, loss, found.value, found.metric)


def steps_an_epoch(data: Data, spec: TrainingSpec) -> int:
    """How often the optimizer steps while the training split is gone through once."""
    return math.ceil(math.ceil(data.size("train") / spec.batch_size) / spec.accumulate)


def _lay_out(model: nn.Module) -> None:
    # channels_last exists for four axes; torch refuses it to a network with a 5-D weight.
    if all(parameter.ndim <= 4 for parameter in model.parameters()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def check_weights(model: nn.Module, epoch: int) -> None:
    """Refuse weights that are not finite: the last steps of an epoch show it in no loss.

    Raises:
        TrainingError: A weight is not finite.
    """
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise TrainingError(
                "training",
                name,
                given=f"not finite after epoch {epoch}",
                expected="finite weights",
                remedy="Lower the learning rate, set clip_norm, or check the data.",
            )
