"""Structure: how a network takes its tensors and gives them; other engines see tensors alone."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from secateur.foundation.run_example import (
    Inputs,
    arguments,
    batch_size,
    call_arguments,
    take_rows,
    tensors_in,
)

_ATOMS = (int, float, bool, str, type(None), torch.dtype, torch.device)


class _Hole:
    """Where a tensor was."""


_HOLE = _Hole()


class Structure:
    """The form of a network's arguments and of what it gives.

    Args:
        net: A network.
        example: A batch of its inputs.
        dynamic: Axes beside the first whose size may differ from call to call.

    Attributes:
        alone: Whether it takes one tensor and nothing else.
        tensors: The tensors of the example, in order, with two rows each: of one row the batch
            would be a constant.
        batched: For each, whether its first axis is the batch.
        dynamic: As given.
        free: For each, those of these axes that its engines take at any size.
        problem: Why it can be called in this form alone; else empty.
    """

    def __init__(self, net: nn.Module, example: Inputs, dynamic: Collection[int] = ()) -> None:
        self._signature = _signature_of(net)
        rows = batch_size(example)
        self.batched = tuple(one.dim() > 0 and len(one) == rows for one in self.within(example))
        args, kwargs = arguments(take_rows(example, [0, 0]))
        self.alone = len(args) == 1 and isinstance(args[0], Tensor) and not kwargs
        self._call = (args, kwargs)
        self.tensors = tuple(tensors_in(self._call))
        ordered = self._ordered(args, kwargs)
        own = {id(one): place for place, one in enumerate(self.tensors)}
        self._places = [own[id(one)] for one in tensors_in(ordered)]
        self.problem = _strange((args, kwargs), "it takes")
        self.dynamic = frozenset(dynamic)
        self.free: tuple[frozenset[int], ...] = tuple(frozenset() for _ in self.tensors)
        self._form = _emptied(ordered)
        self._output: Any = _HOLE

    def gives(self, output: object) -> None:
        """Look at an output, to give others the same form.

        Args:
            output: What the network gives.
        """
        self._output = _emptied(output)
        if not tensors_in(output):
            self.problem = self.problem or f"its output is a {type(output).__name__}"
        self.problem = self.problem or _strange(output, "its output holds")
        if any(isinstance(leaf, int | float) for leaf in _leaves(output)):
            self.problem = self.problem or "its output holds numbers that are no tensors"

    @property
    def gives_one(self) -> bool:
        """Whether it gives one tensor and nothing else."""
        return self._output is _HOLE

    def within(self, inputs: Inputs) -> list[Tensor]:
        """The tensors of inputs of the example's own form."""
        return tensors_in(call_arguments(inputs))

    def filled(self, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with these tensors in them."""
        given = iter(tensors)
        args, kwargs = rebuilt(self._call, lambda _: next(given))
        return args, kwargs

    def shaped(self, outputs: Sequence[Tensor]) -> Any:
        """An output of the network's own form with these tensors in it."""
        given = iter(outputs)
        return rebuilt(self._output, lambda _: next(given))

    def taken(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor] | None:
        """The tensors of a call, in the example's order; None if its form is another.

        Other than the example's may be the size of the batch and of free axes, and nothing else.
        """
        tree = self._ordered(args, kwargs)
        found = tensors_in(tree)
        if len(found) != len(self.tensors) or not self._is_same(_emptied(tree)):
            return None
        found = [one for _, one in sorted(zip(self._places, found, strict=True), key=_first)]
        sizes = {len(one) for one, batched in zip(found, self.batched, strict=True) if batched}
        pairs = zip(found, self.tensors, strict=True)
        fit = all(self.fits(place, *each) for place, each in enumerate(pairs))
        return found if len(sizes) == 1 and fit else None

    def fits(self, place: int, given: Tensor, example: Tensor) -> bool:
        """Whether a tensor may stand in the place of one of the example."""
        same = given.dtype is example.dtype and given.is_cpu and given.layout is torch.strided
        return same and self.has_shape(place, given.shape)

    def has_shape(self, place: int, shape: Sequence[int], axes: Collection[int] = ()) -> bool:
        """Whether a shape differs from that of the example in free axes alone, or in these."""
        example = self.tensors[place].shape
        free = self.free[place] | frozenset(axes) | ({0} if self.batched[place] else set())
        pairs = enumerate(zip(shape, example, strict=False))
        return len(shape) == len(example) and all(a == b or at in free for at, (a, b) in pairs)

    def flat(self, net: nn.Module) -> nn.Module:
        """The network with a forward of tensors alone: `*tensors` in, and a tuple of them out.

        Args:
            net: A network of one's own; its forward is exchanged.
        """
        forward = net.forward

        def of_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
            args, kwargs = self.filled(tensors)
            return tuple(tensors_in(forward(*args, **kwargs)))

        net.forward = of_tensors
        return net

    def _is_same(self, form: Any) -> bool:
        try:
            return bool(form == self._form)
        except (ValueError, RuntimeError, TypeError):  # arrays, and what else cannot be compared
            return False

    def _ordered(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The arguments by the names of the parameters, however they were given."""
        if self._signature is None:
            return (tuple(args), dict(kwargs))
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:
            return (tuple(args), dict(kwargs))
        bound.apply_defaults()
        return dict(bound.arguments)


def rebuilt(tree: Any, change: Callable[[Any], Any]) -> Any:
    """A tree with every tensor in it, or its place, exchanged; its containers are of its types."""
    if isinstance(tree, Tensor | _Hole):
        return change(tree)
    if isinstance(tree, tuple | list) and not isinstance(tree, PackedSequence):
        values = [rebuilt(one, change) for one in tree]
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return type(tree)(*values)
        return type(tree)(values)
    if type(tree) is dict:
        return {name: rebuilt(value, change) for name, value in tree.items()}
    if isinstance(tree, Mapping):
        made: Any = copy.copy(tree)
        for name, value in tree.items():
            made[name] = rebuilt(value, change)
        return made
    if is_dataclass(tree) and not isinstance(tree, type):
        new = copy.copy(tree)
        for field in fields(tree):
            object.__setattr__(new, field.name, rebuilt(getattr(tree, field.name), change))
        return new
    return tree


def _first(pair: tuple[int, Tensor]) -> int:
    return pair[0]


def _emptied(tree: Any) -> Any:
    return rebuilt(tree, lambda _: _HOLE)


def _leaves(tree: Any) -> Iterator[Any]:
    """Whatever is no container."""
    if isinstance(tree, Mapping):
        tree = tuple(tree.values())
    if isinstance(tree, tuple | list) and not isinstance(tree, torch.Size | PackedSequence):
        for one in tree:
            yield from _leaves(one)
    elif is_dataclass(tree) and not isinstance(tree, type):
        yield from _leaves(tuple(vars(tree).values()))
    else:
        yield tree


def _strange(tree: Any, what: str) -> str:
    """What in a tree cannot be filled in anew; empty if there is nothing."""
    for leaf in _leaves(tree):
        if isinstance(leaf, Tensor) and leaf.layout is not torch.strided:
            return f"{what} a tensor that is not dense"
        if not isinstance(leaf, (Tensor, *_ATOMS)):
            return f"{what} a {type(leaf).__name__}"
    return ""


def _signature_of(net: nn.Module) -> inspect.Signature | None:
    try:
        return inspect.signature(net.forward)
    except (TypeError, ValueError):
        return None
