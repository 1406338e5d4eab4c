"""First difference: two networks run side by side, up to the first operator that differs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.labels.axis_labels import TensorLabels
from secateur.channels.labels.events import Step
from secateur.channels.labels.op_names import operator_name
from secateur.channels.source_line import calling_line
from secateur.channels.tracing.cut import Cut
from secateur.foundation.run_example import tensors_in

CLOSE = 1e-6
Digest = tuple[tuple[int, ...], float, float]
Run = Callable[[nn.Module, TorchFunctionMode], object]


@dataclass(frozen=True, slots=True)
class Place:
    """An operator of the network, as its user knows it.

    Attributes:
        number: The number of its step on the tape; None if it is not known.
        operator: Its name.
        path: The module in which it ran.
        line: File and line of the code outside of torch that called it.
    """

    number: int | None = None
    operator: str = ""
    path: str = ""
    line: str = ""

    @property
    def layer(self) -> str:
        """The module and the operator."""
        return f"{self.path or 'the network'}{self.operator and f' ({self.operator})'}"


class Stepper(TorchFunctionMode):
    """Keeps a digest of every operator's outputs, and the line that called it.

    Args:
        steps: The steps of the pass that give tensors.
        cut: What leaves; the digests are of what stays. None for the network that is cut already.
    """

    def __init__(self, steps: list[Step], cut: Cut | None) -> None:
        super().__init__()
        self._steps, self._cut = steps, cut
        self.digests: list[list[Digest]] = []
        self.lines: list[str] = []
        self.line = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.line = calling_line()
        result = func(*args, **(kwargs or {}))
        tensors = tensors_in(result)
        if tensors and operator_name(func) != "__set__":
            self.digests.append([digest(one) for one in self._kept(tensors)])
            self.lines.append(self.line)
        return result

    def _kept(self, tensors: list[Tensor]) -> list[Tensor]:
        """Without what is cut."""
        number = len(self.digests)
        if self._cut is None or number >= len(self._steps):
            return tensors
        outputs = self._steps[number].outputs
        if len(outputs) != len(tensors):
            return tensors
        return [kept(one, out[0], self._cut) for one, out in zip(tensors, outputs, strict=True)]


def first_difference(
    run: Run, masked: nn.Module, small: nn.Module, steps: list[Step], cut: Cut
) -> Place | None:
    """The first operator whose kept channels differ between two networks, None if none does.

    Args:
        run: Runs one of them under a mode.
        masked: The masked network.
        small: The compact one; it may fail.
        steps: The steps of the pass that they follow.
        cut: What was cut.
    """
    giving = [step for step in steps if step.outputs]
    full, short = Stepper(giving, cut), Stepper(giving, None)
    with suppress(Exception):
        run(masked, full)
    with suppress(Exception):
        run(small, short)
    number = _first_unlike(full.digests, short.digests)
    if number is None:
        return None
    line = full.lines[number] if number < len(full.lines) else short.line
    if number >= len(giving):
        return Place(line=line)
    step = giving[number]
    return Place(cut.tape.steps.index(step), step.name, step.path, line)


def _first_unlike(full: list[list[Digest]], short: list[list[Digest]]) -> int | None:
    for number, (left, right) in enumerate(zip(full, short, strict=False)):
        if not _alike(left, right):
            return number
    return None if len(full) == len(short) else min(len(full), len(short))


def kept(tensor: Tensor, layout: TensorLabels, cut: Cut) -> Tensor:
    """What stays of a tensor of the masked network."""
    for position, axis in enumerate(layout.axes[: tensor.dim()]):
        if axis is not None and axis.size == tensor.shape[position]:
            index = np.flatnonzero(~cut.gone[cut.classes.of(axis.labels)])
            tensor = tensor.index_select(position, torch.from_numpy(index).to(tensor.device))
    return tensor


def digest(tensor: Tensor) -> Digest:
    """Shape, length, and the product with a fixed vector: no two channels can be swapped in it."""
    with suppress(RuntimeError, NotImplementedError):
        flat = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        flat = torch.nan_to_num(flat.detach().double().reshape(-1), 0.5, 2.0, -2.0)
        wave = torch.arange(flat.numel(), dtype=torch.float64, device=flat.device)
        return tuple(tensor.shape), float(flat.norm()), float(flat @ wave.mul_(1.7).cos_())
    return tuple(tensor.shape), 0.0, 0.0


def _alike(left: list[Digest], right: list[Digest]) -> bool:
    return len(left) == len(right) and all(
        a[0] == b[0] and abs(a[1] - b[1]) + abs(a[2] - b[2]) <= CLOSE * (abs(a[1]) + abs(b[1]))
        for a, b in zip(left, right, strict=True)
    )
