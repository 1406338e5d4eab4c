"""Running an example: what a network is run on to be looked at, however it takes its inputs.

A tensor, several of them in a tuple or a list, or a dict by name (as a tokenizer gives it). What
"running a network on an example" means stands here, and nowhere else.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer
from torch.nn.utils.rnn import PackedSequence

from secateur.errors import ModelError
from secateur.foundation.own_error import words_of

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]
"""A tensor; a tuple or list of positional arguments; a mapping of keyword arguments."""

_OWN = frozenset(vars(nn.Module()))
_ATOMS = frozenset((int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size))
_REMEDY = "Check the input shape, or pass example inputs that the model accepts."


def call_arguments(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments of a forward call.

    A tuple or list is several arguments, a mapping is arguments by name; all else (a tensor, a
    packed sequence, a graph, a number) is one argument.

    Example:
        >>> call_arguments((1, None)), call_arguments({"x": 1}), call_arguments(1)
        (((1, None), {}), ((), {'x': 1}), ((1,), {}))
    """
    if isinstance(inputs, Mapping):
        return (), {str(name): value for name, value in inputs.items()}
    if isinstance(inputs, tuple | list) and not isinstance(inputs, PackedSequence):
        return tuple(inputs), {}
    return (inputs,), {}


def arguments(example_inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """As `call_arguments`, of copies: an in-place operator leaves the example as it is.

    Example:
        >>> arguments((torch.ones(1), None)), arguments({"x": torch.ones(1)})
        (((tensor([1.]), None), {}), ((), {'x': tensor([1.])}))
    """
    inputs = each_tensor(example_inputs, torch.Tensor.clone)
    if not isinstance(inputs, Tensor | Mapping | tuple | list | PackedSequence):
        inputs = copy.copy(inputs)  # what is written into an object is written into a copy
    return call_arguments(inputs)


def tensors_in(tree: Any) -> list[Tensor]:
    """Every tensor in nested tuples, lists, dicts and the like, in order."""
    found: list[Tensor] = []
    _gather(tree, found)
    return found


def _gather(tree: Any, found: list[Tensor]) -> None:
    # By hand: torch's pytree takes a user's mapping, a dataclass or a model's output for a leaf.
    kind = type(tree)
    if kind in _ATOMS:
        return
    if isinstance(tree, Tensor):
        found.append(tree)
    elif kind is tuple or kind is list or isinstance(tree, tuple | list):
        for value in tree:
            _gather(value, found)
    elif isinstance(tree, Mapping):
        for value in tree.values():
            _gather(value, found)
    elif hasattr(tree, "__dataclass_fields__"):
        _gather(vars(tree), found)


def each_tensor(tree: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tree with every tensor in it exchanged; its containers are new.

    Args:
        tree: Tensors nested in tuples, lists, mappings and dataclasses, with anything between.
        change: From a tensor to another.

    Example:
        >>> each_tensor([torch.ones(1), {"mask": None}], torch.neg)
        [tensor([-1.]), {'mask': None}]
    """
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, tuple | list):
        values = [each_tensor(one, change) for one in tree]
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return type(tree)(*values)
        if hasattr(tree, "n_sequence_fields"):  # what `topk`, `max` and their like return
            return type(tree)(values)
        return tuple(values) if isinstance(tree, tuple) else values
    if isinstance(tree, Mapping):
        return {name: each_tensor(value, change) for name, value in tree.items()}
    if is_dataclass(tree) and not isinstance(tree, type):
        new = copy.copy(tree)
        for field in fields(tree):
            changed = each_tensor(getattr(tree, field.name), change)
            object.__setattr__(new, field.name, changed)
        return new
    return tree


def batch_size(example_inputs: Inputs) -> int:
    """The length of the first axis of the first tensor that has one; 0 if none has.

    Example:
        >>> batch_size({"ids": torch.zeros(4, 7), "scale": torch.tensor(1.0)})
        4
    """
    return next((len(one) for one in tensors_in(example_inputs) if one.dim()), 0)


def take_rows(example_inputs: Inputs, rows: Sequence[int]) -> Any:
    """The example with other rows: of every tensor whose first axis is the batch, these.

    Args:
        example_inputs: The example.
        rows: Numbers of rows; one may occur more than once.

    Example:
        >>> take_rows((torch.arange(3), torch.zeros(())), [2, 2])
        (tensor([2, 2]), tensor(0.))
    """
    size = batch_size(example_inputs)

    def taken(tensor: Tensor) -> Tensor:
        if tensor.dim() == 0 or len(tensor) != size:
            return tensor
        return tensor[torch.tensor(rows, dtype=torch.long, device=tensor.device)]

    if isinstance(example_inputs, PackedSequence):
        return example_inputs
    return each_tensor(example_inputs, taken)


def moved(example_inputs: Inputs, device: torch.device | str) -> Any:
    """The example on a device, without its history.

    Example:
        >>> moved(torch.ones(1, requires_grad=True), "cpu")
        tensor([1.])
    """
    return each_tensor(example_inputs, lambda one: one.detach().to(device))


def described(example_inputs: Inputs) -> str:
    """The shapes of the inputs, for a message.

    Example:
        >>> described((torch.zeros(2, 3), {"mask": torch.zeros(2)}))
        '2x3, 2'
    """
    shapes = ["x".join(map(str, one.shape)) or "()" for one in tensors_in(example_inputs)]
    return ", ".join(shapes) or f"a {type(example_inputs).__name__} without a tensor"


def run_example(model: nn.Module, example_inputs: Inputs) -> Any:
    """Run the model on an example in evaluation mode, without gradients; it is left as it was.

    Raises:
        ModelError: The network fails on the example.

    Example:
        >>> run_example(nn.Bilinear(1, 1, 2), (torch.ones(3, 1), torch.ones(3, 1))).shape
        torch.Size([3, 2])
    """
    args, kwargs = arguments(example_inputs)
    with as_it_was(model), torch.no_grad():
        model.eval()
        try:
            return model(*args, **kwargs)
        except Exception as error:
            raise ModelError(
                "running the model on an example",
                type(model).__name__,
                given=f"a network that fails on inputs of shape {described(example_inputs)} "
                f"({words_of(error, 300)})",
                expected="a network that accepts the data's shape",
                remedy=_REMEDY,
            ) from error


@contextmanager
def as_it_was(model: nn.Module) -> Iterator[None]:
    """Afterwards a network is what it was, whatever a run has done to it.

    Put back are the modes, the buffers and other tensors that its modules hold (the objects and
    their values), all attributes, and the random states. Parameters are trusted to stay.

    Example:
        >>> net = nn.BatchNorm1d(1)
        >>> with as_it_was(net):
        ...     _ = net(torch.ones(2, 1))
        >>> int(net.num_batches_tracked)
        0
    """
    states = [_State(module) for module in model.modules()]
    try:
        with same_chance():
            yield
    finally:
        for state in states:
            state.restore()


@contextmanager
def same_chance() -> Iterator[None]:
    """Afterwards Python, numpy and torch draw the random numbers that they would have drawn."""
    python, old = random.getstate(), np.random.get_state()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(old)


class _State:
    """What one module holds besides its parameters."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._training = module.training
        self._plain = not isinstance(module, torch.jit.ScriptModule)
        self._held = dict(vars(module)) if self._plain else {}
        self._inside = {
            name: copy.copy(value)
            for name, value in self._held.items()
            if type(value).__name__ in ("dict", "list", "set", "OrderedDict", "deque", "Counter")
        }
        own = [*self._held.values(), *module.buffers(recurse=False)]
        self._values = [(one, one.detach().clone()) for one in own if _has_values(one)]

    def restore(self) -> None:
        """Put it back."""
        self._module.training = self._training
        if self._plain:
            vars(self._module).clear()
            vars(self._module).update(self._held)
        for name, value in self._inside.items():
            now = self._held[name]
            if now is not value and not _same_items(now, value):
                now.clear()
                (now.update if hasattr(now, "update") else now.extend)(value)
        with torch.no_grad():
            for tensor, values in self._values:
                # Written only if it has to be: a write would spoil a graph that has read it.
                with suppress(RuntimeError):  # its memory was given back, or it cannot be compared
                    if not torch.equal(tensor, values):
                        tensor.copy_(values)


def _has_values(held: object) -> bool:
    return isinstance(held, Tensor) and not (held.is_meta or isinstance(held, UninitializedBuffer))


def _same_items(left: Any, right: Any) -> bool:
    """Whether two containers hold the same objects; values are not asked, they may be tensors."""
    if isinstance(left, Mapping):
        return [(k, id(v)) for k, v in left.items()] == [(k, id(v)) for k, v in right.items()]
    return [*map(id, left)] == [*map(id, right)]
