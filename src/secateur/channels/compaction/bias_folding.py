"""Bias folding: a constant channel leaves, its readers' biases take over what it brought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.labels.axis_labels import Flags
from secateur.channels.tracing.channel_classes import Classes
from secateur.channels.tracing.tape import Tape


@dataclass(frozen=True, slots=True)
class Fold:
    """What a layer's bias must take over.

    Attributes:
        module: The layer's path.
        shift: float64 `[outputs]` to be added to its bias, before any output is cut.
    """

    module: str
    shift: Tensor


def find_folds(
    model: nn.Module, tape: Tape, classes: Classes, gone: Flags, foldable: frozenset[str]
) -> list[Fold]:
    """What the biases must take over when these classes go.

    Args:
        model: The masked network.
        tape: Its pass.
        classes: Its classes.
        gone: bool `[classes]`; those that leave.
        foldable: Weights whose layer has a bias to fold into.
    """
    parameters = dict(model.named_parameters())
    folds = []
    for read in tape.reads:
        if read.weight not in foldable or read.used is None:
            continue
        leaving = gone[classes.of(read.labels)] & ~read.always_zero
        leaving &= np.nan_to_num(read.values) != 0
        if not leaving.any():
            continue
        index = torch.from_numpy(np.flatnonzero(leaving))
        weight = parameters[read.weight].detach().index_select(1, index).double()
        values = torch.from_numpy(read.values[leaving]).to(weight)
        shift = weight.reshape(*weight.shape[:2], -1).sum(-1) @ values
        if shift.any():
            folds.append(Fold(read.weight.rpartition(".")[0], shift))
    return folds


def apply_folds(model: nn.Module, folds: list[Fold], rows: dict[str, Tensor]) -> None:
    """Add the shifts, in float64, to the biases of a compact network; who has none gets one.

    Args:
        model: The compact network.
        folds: What to add.
        rows: The outputs kept, by layer path.
    """
    for fold in folds:
        module = model.get_submodule(fold.module)
        weight, bias = module.get_parameter("weight"), getattr(module, "bias", None)
        shift = fold.shift
        if fold.module in rows:
            shift = shift.index_select(0, rows[fold.module].to(shift.device))
        if bias is None:
            module.bias = nn.Parameter(shift, requires_grad=weight.requires_grad)
        else:
            bias.data = bias.data.double() + shift


def round_folds(model: nn.Module, folds: list[Fold]) -> None:
    """Give the biases that have taken something over the type of their layer's weight."""
    for fold in folds:
        module = model.get_submodule(fold.module)
        bias = module.get_parameter("bias")
        bias.data = bias.data.to(module.get_parameter("weight").dtype)
