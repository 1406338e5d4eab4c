"""Verification: the compact network runs beside the masked one before anyone gets it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.doubling import Doubling
from secateur.channels.layout import Layout
from secateur.channels.notes import Step
from secateur.channels.operators import tensors_in
from secateur.channels.record import arguments
from secateur.channels.rehearsal import Cut
from secateur.errors import ChannelError

TOLERANCE = 1e-10


def same(left: Any, right: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two outputs agree, tensor by tensor, relative to the largest element.

    Example:
        >>> same(torch.ones(2), [torch.ones(2) + 1e-14])
        True
    """
    ours, theirs = tensors_in(left), tensors_in(right)
    return len(ours) == len(theirs) and all(
        _close(a, b, tolerance) for a, b in zip(ours, theirs, strict=True)
    )


def _close(left: Tensor, right: Tensor, tolerance: float) -> bool:
    if left.shape != right.shape:
        return False
    if not left.is_floating_point():
        return bool(torch.equal(left, right))
    scale = max(1.0, float(right.abs().max())) if right.numel() else 1.0
    return bool(torch.allclose(left, right, rtol=0.0, atol=tolerance * scale, equal_nan=True))


def check_equal(masked: nn.Module, compact: nn.Module, example: Any, cut: Cut) -> None:
    """Run two networks on the same random inputs, of two batch sizes and two resolutions.

    Args:
        masked: The masked network.
        compact: The compact one.
        example: Inputs that they take, in float64.
        cut: What was cut, to name the first layer that differs.

    Raises:
        ChannelError: They differ, or the compact one fails; it names the first layer that does.
    """
    first, second = Doubling(masked), Doubling(compact)

    def agree(inputs: Any) -> None:
        args, kwargs = arguments(inputs)
        with first:
            expected = masked(*args, **kwargs)
        args, kwargs = arguments(inputs)
        try:
            with second:
                given = compact(*args, **kwargs)
        except Exception as failure:
            layer = first_difference(masked, compact, example, cut)
            raise _differs(layer, f"failing once cut ({failure})") from failure
        if not same(given, expected):
            layer = first_difference(masked, compact, example, cut)
            raise _differs(layer, "another function once cut")

    def agree_if_taken(inputs: Any) -> bool:
        try:
            agree(inputs)
        except ChannelError:
            raise
        except Exception:
            return False
        return True

    with torch.no_grad():
        agree(variation(example, 1, 0))
        if not agree_if_taken(variation(example, 2, 8)):
            agree_if_taken(variation(example, 2, 0))
            agree_if_taken(variation(example, 1, 8))


def _differs(layer: str, given: str) -> ChannelError:
    return ChannelError(
        "compaction",
        layer or "the network",
        given=given,
        expected="the same function as the masked network",
        remedy="Nothing was handed over; please report this network.",
    )


def variation(example: Any, batch: int, grow: int, seed: int = 0) -> Any:
    """The example with random numbers, its batch repeated and its images larger.

    Args:
        example: The inputs.
        batch: How often the batch is repeated.
        grow: Pixels added to height and width, of inputs that have them.
        seed: For the numbers.
    """
    generator = torch.Generator().manual_seed(seed)

    def redraw(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point() or value.dim() == 0:
            return _repeat(value, batch)
        shape = list(value.shape)
        shape[0] *= batch
        if value.dim() >= 4:
            shape[2:] = [size + grow for size in shape[2:]]
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(value.device)

    if isinstance(example, Tensor):
        return redraw(example)
    if isinstance(example, dict):
        return {name: redraw(value) for name, value in example.items()}
    return tuple(redraw(value) for value in example)


def _repeat(value: Any, batch: int) -> Any:
    if isinstance(value, Tensor) and value.dim() and batch > 1:
        return torch.cat([value] * batch)
    return value


class Recorder(TorchFunctionMode):
    """Keeps every operator's outputs, to find the first that differs."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[list[Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = tensors_in(result)
        if tensors:
            self.outputs.append([tensor.detach().clone() for tensor in tensors])
        return result


def first_difference(masked: nn.Module, compact: nn.Module, example: Any, cut: Cut) -> str:
    """The path of the first layer whose kept channels differ, with its operator."""
    runs = []
    for model in (masked, compact):
        args, kwargs = arguments(example)
        recorder = Recorder()
        try:
            with torch.no_grad(), Doubling(model), recorder:
                model(*args, **kwargs)
        except Exception:
            pass
        runs.append(recorder.outputs)
    steps: list[Step] = [step for step in cut.tape.steps if step.outputs]
    for step, full, short in zip(steps, *runs, strict=False):
        for (layout, *_), left, right in zip(step.outputs, full, short, strict=False):
            if not same(_kept(left, layout, cut), right, 1e-8):
                return f"{step.path or 'the network'} ({step.name})"
    number = min(len(runs[1]), len(steps) - 1)
    return f"{steps[number].path or 'the network'} ({steps[number].name})"


def _kept(tensor: Tensor, layout: Layout, cut: Cut) -> Tensor:
    for position, axis in enumerate(layout.axes):
        if axis is not None and axis.size == tensor.shape[position]:
            index = np.flatnonzero(~cut.gone[cut.classes.of(axis.labels)])
            tensor = tensor.index_select(position, torch.from_numpy(index).to(tensor.device))
    return tensor
