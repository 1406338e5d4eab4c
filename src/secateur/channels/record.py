"""Recording: run a network once, as it is, and write everything down."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from secateur.channels.caches import forgetting
from secateur.channels.doubling import double
from secateur.channels.operators import tensors_in
from secateur.channels.rules import RULES
from secateur.channels.tape import Tape
from secateur.errors import ChannelError

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]


def record(
    model: nn.Module,
    example_inputs: Inputs,
    *,
    constants: bool = False,
    choices: Sequence[int] = (),
    holds: Mapping[int, int] | None = None,
) -> Tape:
    """Run a network once and write everything down.

    Args:
        model: The network.
        example_inputs: Its inputs.
        constants: Follow what is constant for every input, in float64.
        choices: Which way to take where an axis splits.
        holds: Steps with a size written in the code, and how hard to hold their channels.

    Raises:
        ChannelError: The network fails on the example, or branches on the data.
    """
    tape = Tape(model, RULES, constants=constants, choices=choices, holds=holds)
    args, kwargs = arguments(double(example_inputs) if constants else example_inputs)
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        for tensor in tensors_in((args, kwargs)):
            tape.take_input(tensor)
        with forgetting(model), torch.no_grad(), tape.modules(), tape:
            outputs = model(*args, **kwargs)
    except ChannelError:
        raise
    except Exception as failure:
        raise ChannelError(
            "tracing channels",
            tape.last_path or type(model).__name__,
            given=f"failing on the example inputs ({type(failure).__name__}: {failure})",
            expected="a network that runs on them",
            remedy="Pass inputs of the shape and type that the network takes.",
        ) from failure
    finally:
        for module, mode in training.items():
            module.training = mode
    for tensor in tensors_in(outputs):
        for axis in tape.layout(tensor).axes:
            if axis is not None:
                tape.ties.pin(axis.labels, "the network's output", "")
    return tape


def arguments(example_inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a forward call; in-place operators get copies."""
    example_inputs = copy.copy(example_inputs)
    if isinstance(example_inputs, Tensor):
        return (example_inputs.clone(),), {}
    if isinstance(example_inputs, Mapping):
        return (), {name: _own(value) for name, value in example_inputs.items()}
    return tuple(_own(value) for value in example_inputs), {}


def _own(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
