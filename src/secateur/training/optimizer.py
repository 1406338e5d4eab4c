"""The optimizer of a training."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import Optimizer

from secateur.training_settings import TrainingSpec


def build_optimizer(model: nn.Module, spec: TrainingSpec, learning_rate: float) -> Optimizer:
    """The optimizer that the settings name, with fused kernels where the device has them.

    Args:
        model: Its parameters are trained; a tied parameter once.
        spec: `optimizer`, `momentum` (SGD) and `weight_decay` are read.
        learning_rate: At the start.

    Example:
        >>> type(build_optimizer(nn.Linear(2, 2), TrainingSpec(), 1e-3)).__name__
        'Adam'
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    fused = all(p.device.type in ("cpu", "cuda", "mps") for p in parameters)
    decay = spec.weight_decay
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, learning_rate, momentum=spec.momentum, weight_decay=decay, fused=fused
        )
    kind = torch.optim.Adam if spec.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, learning_rate, weight_decay=decay, fused=fused)
