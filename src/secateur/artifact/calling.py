"""The call of a network as other engines make it: tensors in, by name, and tensors out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import ModelError
from secateur.foundation.run_example import (
    Inputs,
    arguments,
    batch_size,
    each_tensor,
    moved,
    take_rows,
    tensors_in,
)
from secateur.measure.observe import check_batch, check_built, observed
from secateur.runtime.compiler.whole import serving_copy


@dataclass(frozen=True)
class Call:
    """A network to capture, and how it is called.

    Attributes:
        net: A copy on the CPU. If it takes one tensor and gives one, it is called as it was; else
            it takes its tensors one after the other, and gives a tuple of tensors.
        inputs: The tensors, with two rows: of one, the batch would be a constant.
        names: The inputs' names.
        outputs: The outputs' names.
        batched: For each input, whether its first axis is the batch.
        is_flat: Whether it was made to take its tensors one after the other.
    """

    net: nn.Module
    inputs: tuple[Tensor, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    batched: tuple[bool, ...]
    is_flat: bool

    def shapes(self, batch: Any) -> Any:
        """`dynamic_shapes` of `torch.export`, with one size for the batch."""
        given = tuple({0: batch} if one else None for one in self.batched)
        return {"tensors": given} if self.is_flat else given


def call_of(model: nn.Module, example: Inputs, operation: str) -> Call:
    """Prepare a network for an exporter.

    Args:
        model: Any network; it is left as it was.
        example: A batch of inputs `[N, ...]`, or several in a tuple or a dict.
        operation: What it is for, for messages.

    Raises:
        ModelError: It fails on the example, is not built, or gives no tensor.
    """
    check_built(operation, model)
    check_batch(operation, example)
    net = serving_copy(model)
    example = take_rows(moved(example, "cpu"), [0, 0])
    args, kwargs = arguments(example)
    with observed(net, operation, example):
        output = net(*args, **kwargs)
    results = tensors_in(output)
    if not results:
        raise ModelError(
            operation,
            "the network's output",
            given=f"a {type(output).__name__}",
            expected="one tensor or more",
            remedy="Wrap the net in a module that returns the tensors to be exported.",
        )
    inputs = tuple(tensors_in(example))
    one_in = len(args) == 1 and isinstance(args[0], Tensor) and not kwargs
    is_flat = not (one_in and isinstance(output, Tensor))
    names = ("input",) if one_in else tuple(_names_of(net, args, kwargs))
    outputs = ("output",) if len(results) == 1 else tuple(_names(output, "output"))
    if is_flat:
        _take_tensors(net, (args, kwargs))
    rows = batch_size(example)
    batched = tuple(one.dim() > 0 and len(one) == rows for one in inputs)
    return Call(net, inputs, names, outputs, batched, is_flat)


def _take_tensors(net: nn.Module, structure: tuple[Any, Any]) -> None:
    forward = net.forward

    def flat(*tensors: Tensor) -> tuple[Tensor, ...]:
        given = iter(tensors)
        args, kwargs = each_tensor(structure, lambda _: next(given))
        return tuple(tensors_in(forward(*args, **kwargs)))

    net.forward = flat


def _names_of(net: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[str]:
    """The parameters' names; what lies deeper has a number or its key behind."""
    known = [
        name
        for name, one in inspect.signature(net.forward).parameters.items()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    for place, value in enumerate(args):
        yield from _names(value, known[place] if place < len(known) else f"input_{place}")
    for name, value in kwargs.items():
        yield from _names(value, name)


def _names(tree: Any, name: str) -> Iterator[str]:
    # By hand, as in `run_example`: pytree's paths do not reach into what it takes for a leaf.
    if isinstance(tree, Tensor):
        yield name
        return
    fields = getattr(tree, "__dataclass_fields__", None)
    if isinstance(tree, Mapping):
        parts = dict(tree)
    elif isinstance(tree, tuple | list):
        parts = {str(place): one for place, one in enumerate(tree)}
    else:
        parts = dict(vars(tree)) if fields else {}
    for key, value in parts.items():
        keyed = isinstance(tree, Mapping) or fields is not None
        yield from _names(value, str(key) if keyed and name == "output" else f"{name}_{key}")


def drawn(example: Inputs, batch: int) -> list[Tensor]:
    """Random inputs like an example, tensor by tensor; what is no batch stays.

    Numbers that are whole (ids, masks) are rows of the example, in order: they may only be valid
    together.

    Args:
        example: The example.
        batch: How many rows.
    """
    given = batch_size(example)
    rows = tensors_in(take_rows(moved(example, "cpu"), [row % given for row in range(batch)]))
    generator = torch.Generator().manual_seed(batch)
    return [
        torch.randn(one.shape, generator=generator).to(one.dtype)
        if one.dtype.is_floating_point and one.dim() and len(one) == batch
        else one
        for one in rows
    ]
