"""Fit: train a network for some epochs, with pruned weights held at zero."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from secateur.data.data import Batch, Data, count_of
from secateur.errors import ModelError, TrainingError
from secateur.point import Score
from secateur.pruning.cutter import Cutter
from secateur.pruning.masks import Masks
from secateur.tasks.classification import Classification
from secateur.tasks.task import Task, forward
from secateur.training.device import fabric_for, resolve_device
from secateur.training.dropout import byte_dropout
from secateur.training.epoch import Epoch
from secateur.training.learning_rate import Rates, build_schedule, rates_of
from secateur.training.optimizer import build_optimizer
from secateur.training.score import score
from secateur.training.teacher import Teacher
from secateur.training_settings import TrainingSpec

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_CHECK_EVERY = 25


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
        on_epoch: Called after each epoch.
        measure: Gives the score of an epoch; the task's first metric on the validation split, if
            None.

    Returns:
        One entry an epoch.

    Raises:
        TrainingError: The loss or a weight is not finite.
        DataError: The data are not what the task is fed with.
        ModelError: The network's answer is not what the task needs, or the loss is no scalar.
        DeviceError: The device is absent.
        UsageError: There is a teacher, and the task compares no answers.
    """
    task = task or Classification()
    task.check(data, "training")
    spec = spec or TrainingSpec()
    target = resolve_device(device)
    fabric = fabric_for(target, spec.precision)
    data = data.to(target)
    order = torch.Generator().manual_seed(stream(seed, "order"))
    _lay_out(model.to(target))
    if teacher is not None:
        _lay_out(teacher.model.to(target))
    rates = rates or rates_of(spec, learning_rate)
    optimizer = build_optimizer(model, spec, rates.peak)
    schedule = build_schedule(optimizer, rates, epochs * steps_an_epoch(data, spec))
    curve: list[Epoch] = []
    # Dropout draws from torch's global generator, which is the caller's again afterwards.
    own_draws = torch.random.fork_rng([target] if target.type == "cuda" else [])
    with ExitStack() as held, own_draws, byte_dropout(model):
        torch.manual_seed(stream(seed, "dropout"))
        if masks is not None:
            held.enter_context(masks.freeze(optimizer, model))
        if cutter is not None:
            held.callback(cutter.stop)
            cutter.start(model, [optimizer], 0)

        def stepped(steps: int) -> None:
            if cutter is not None:
                cutter.step(model, [optimizer], steps)

        trained, stepper = fabric.setup(model, optimizer)
        for number in range(1, epochs + 1):
            taught = teacher if teacher is not None and number <= teacher.epochs else None
            pass_ = _Pass(
                fabric, trained, stepper, schedule, data, spec, task, taught, penalty, stepped,
                number,
            )  # fmt: skip
            loss = pass_.run(order)
            check_weights(model, number)
            if measure is None:
                found = score(model, data, "val", task, spec.batch_size)[0]
            else:
                found = measure(model, data)
            entry = Epoch(number, loss, found.value, found.metric)
            curve.append(entry)
            if on_epoch:
                on_epoch(entry)
    return tuple(curve)


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


def check_loss(loss: object) -> Tensor:
    """Return a loss that can be minimised.

    Raises:
        ModelError: It is no tensor of one real number.
    """
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.is_floating_point():
        return loss.reshape(())
    shape = f"of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
    raise _no_loss(shape)


def _no_loss(given: str) -> ModelError:
    return ModelError(
        "training",
        "the loss",
        given=given,
        expected="a tensor of one real number, computed from the net's output",
        remedy="Return the mean loss of the batch from the task's `loss`.",
    )


@dataclass
class _Pass:
    """One epoch's pass over the training split."""

    fabric: Fabric
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    data: Data
    spec: TrainingSpec
    task: Task
    teacher: Teacher | None
    penalty: Callable[[], Tensor] | None
    stepped: Callable[[int], None]
    number: int

    def run(self, order: torch.Generator) -> float:
        """Train on every batch once; the mean loss an example."""
        self.model.train()
        examples = self.data.size("train")
        total: Tensor | None = None
        count, group = math.ceil(examples / self.spec.batch_size), self.spec.accumulate
        batches = self.data.batches("train", self.spec.batch_size, generator=order)
        index = 0
        for index, batch in enumerate(batches, start=1):
            # The last step of an epoch may have fewer batches to take the mean of.
            first = index - (index - 1) % group
            loss = self._accumulate(batch, index == 1, max(1, min(group, count - first + 1)))
            weighed = loss.detach() * count_of(batch)
            total = weighed.double() if total is None else total + weighed
            if index % group == 0 or index == count:
                self._step()
            # Reading the loss waits for the device: often enough to stop a lost run early.
            if index % _CHECK_EVERY == 0 or index == count:
                self._check(total, index)
        if index % group and index != count:  # a loader that gave fewer batches than its size
            self._step()
        return 0.0 if total is None else float(total) / examples

    def _accumulate(self, batch: Batch, first: bool, batches_a_step: int) -> Tensor:
        output = forward(self.model, batch[0])
        if first:
            self.task.check_output(output, batch, self.data)
        loss = check_loss(self.task.loss(output, batch))
        if not loss.requires_grad:
            raise _no_loss("one that depends on no weight that is trained")
        if self.teacher is not None:
            with self.fabric.autocast():
                loss = check_loss(self.teacher.blend(loss, output, batch, self.task))
        if self.penalty is not None:
            loss = loss + self.penalty()
        self.fabric.backward(loss / batches_a_step)
        return loss

    def _step(self) -> None:
        if self.spec.clip_norm is not None:
            self.fabric.clip_gradients(
                self.model,
                self.optimizer,
                max_norm=self.spec.clip_norm,
                error_if_nonfinite=False,
            )
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.stepped(self.schedule.last_epoch)

    def _check(self, total: Tensor, index: int) -> None:
        if not bool(torch.isfinite(total)):
            raise TrainingError(
                "training",
                "the loss",
                given=f"not finite by step {index} of epoch {self.number}",
                expected="a finite number",
                remedy="Lower the learning rate, set clip_norm, or check the data.",
            )
