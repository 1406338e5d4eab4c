"""A teacher: a trained net whose answers another one learns, beside the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateur.data.data import Batch
from secateur.tasks.task import Task, forward


@dataclass(frozen=True)
class Teacher:
    """Who teaches, and how much it counts (Hinton et al. 2015, arXiv 1503.02531).

    Attributes:
        model: The trained net; it is put into evaluation mode, and no gradient reaches it.
        weight: Of its answers in the loss, from 0 to 1; the labels have the rest.
        temperature: What both nets' answers are softened by.
        epochs: How many it teaches, from the first one on.
    """

    model: nn.Module
    weight: float
    temperature: float
    epochs: int

    def blend(self, loss: Tensor, output: Any, batch: Batch, task: Task) -> Tensor:
        """The loss of a batch, with the teacher's answers in it.

        Args:
            loss: The task's own.
            output: What the net that learns gives for the batch.
            batch: The batch, as that net was given it.
            task: Says how two answers are compared.

        Raises:
            UsageError: The task compares none.
        """
        self.model.eval()
        with torch.no_grad():
            taught = forward(self.model, batch[0])
        soft = task.distillation(output, taught, batch, self.temperature)
        return (1 - self.weight) * loss + self.weight * soft
