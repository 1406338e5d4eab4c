"""An epoch's pass: over every batch once, or over this rank's share of every batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from secateur.data.data import Data
from secateur.errors import ModelError, TrainingError
from secateur.foundation.run_example import tensors_in
from secateur.pruning.ranks import rank, total, world
from secateur.tasks.task import Task, forward
from secateur.training.share import Share, share_of
from secateur.training.shared_norm import SharedNorms
from secateur.training.teacher import Teacher
from secateur.training_settings import TrainingSpec

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_CHECK_EVERY = 25


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


def _nothing(output: Any) -> Tensor:
    """Zero, computed from an output: every parameter gets a gradient, as on the other ranks."""
    parts = [one for one in tensors_in(output) if one.requires_grad]
    return torch.stack([one.nan_to_num(0.0, 0.0, 0.0).sum() * 0.0 for one in parts]).sum()


@dataclass
class EpochPass:
    """One epoch's pass over the training split.

    Attributes:
        fabric: For this rank's device.
        model: As Fabric has set it up.
        optimizer: Likewise.
        schedule: Of the learning rate.
        data: On this rank's device.
        spec: Batch size, accumulation, clipping.
        task: Gives the loss.
        teacher: Its answers count in the loss.
        penalty: Added to the loss of each batch.
        stepped: Told after each step how many there were.
        number: The epoch's, from 1.
        norms: The network's batch norms, where several ranks share them.
    """

    fabric: Fabric
    model: Any
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    data: Data
    spec: TrainingSpec
    task: Task
    teacher: Teacher | None
    penalty: Callable[[], Tensor] | None
    stepped: Callable[[int], None]
    number: int
    norms: SharedNorms | None = None

    def run(self, order: torch.Generator) -> float:
        """Train on every batch once; the mean loss an example."""
        self.model.train()
        examples = self.data.size("train")
        so_far: Tensor | None = None
        count, group = math.ceil(examples / self.spec.batch_size), self.spec.accumulate
        batches = self.data.batches("train", self.spec.batch_size, generator=order)
        index = 0
        for index, batch in enumerate(batches, start=1):
            # The last step of an epoch may have fewer batches to take the mean of.
            begun = index - (index - 1) % group
            many = max(1, min(group, count - begun + 1))
            share = share_of(batch, self.task, rank(), world())
            with self.fabric.no_backward_sync(self.model, enabled=index - begun + 1 < many):
                loss = self._accumulate(share, index == 1, many)
            weighed = loss.detach() * share.whole
            so_far = weighed.double() if so_far is None else so_far + weighed
            if index % group == 0 or index == count:
                self._step()
            # Reading the loss waits for the device: often enough to stop a lost run early.
            if index % _CHECK_EVERY == 0 or index == count:
                self._check(so_far, index)
        if index % group and index != count:  # a loader that gave fewer batches than its size
            self._step()
        return 0.0 if so_far is None else float(total(so_far)) / examples

    def _accumulate(self, share: Share, first_batch: bool, batches_a_step: int) -> Tensor:
        """Gather the gradients of a share; its part of the whole batch's loss."""
        batch = share.batch
        if self.norms is not None:
            self.norms.counts = share.counted > 0
        output = forward(self.model, batch[0])
        if first_batch:
            self.task.check_output(output, batch, self.data)
        loss = check_loss(self.task.loss(output, batch))
        if not loss.requires_grad:
            raise _no_loss("one that depends on no weight that is trained")
        if self.teacher is not None:
            with self.fabric.autocast():
                loss = check_loss(self.teacher.blend(loss, output, batch, self.task))
        many = world()
        if many > 1:
            loss = loss * share.fraction if share.fraction else _nothing(output)
        if self.penalty is not None:
            loss = loss + (self.penalty() if many == 1 else self.penalty() / many)
        # The ranks' gradients are averaged; their parts of the loss are summed.
        self.fabric.backward((loss if many == 1 else loss * many) / batches_a_step)
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

    def _check(self, so_far: Tensor, index: int) -> None:
        if not bool(torch.isfinite(total(so_far))):
            raise TrainingError(
                "training",
                "the loss",
                given=f"not finite by step {index} of epoch {self.number}",
                expected="a finite number",
                remedy="Lower the learning rate, set clip_norm, or check the data.",
            )
