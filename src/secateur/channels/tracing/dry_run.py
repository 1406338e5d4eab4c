"""Dry run: a cut played through the network's own code, on tensors without storage.

A size written in the code (`view(-1, 1024)`) cannot be seen in a layout. So a cut is tried dry:
the network, with its tensors cut, runs on the meta device, and after every operator the shape
that came out is compared with the shape that the tape says. Where they differ, the expected shape
is handed on, so that one run finds every such place. Costs no memory and no arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.labels.axis_labels import AxisLabels, Flags, TensorLabels, Vector
from secateur.channels.labels.events import Attribute, Step
from secateur.channels.labels.op_names import is_query, numbers_in, operator_name
from secateur.channels.modes import mode
from secateur.channels.operators import OPERATORS
from secateur.channels.operators.indexing import vary
from secateur.channels.rebuild import rebuild, throwaway
from secateur.channels.sandbox import sandbox
from secateur.channels.tracing.channel_classes import Classes
from secateur.channels.tracing.recorder import Tape
from secateur.errors import ChannelError
from secateur.foundation.run_example import tensors_in


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Classes that leave a traced network."""

    tape: Tape
    classes: Classes
    gone: Flags

    def left(self, axis: AxisLabels) -> Vector:
        """The labels along an axis after the cut."""
        return axis.labels[~self.gone[self.classes.of(axis.labels)]]

    def count(self, labels: Vector) -> int:
        """How many of these labels stay."""
        return int((~self.gone[self.classes.of(labels)]).sum())

    def shape(self, layout: TensorLabels, size: torch.Size) -> tuple[int, ...]:
        """The shape of a tensor after the cut."""
        return tuple(
            n if axis is None else self.count(axis.labels)
            for axis, n in zip(layout.axes, size, strict=True)
        )


TEXTS = frozenset({"format", "repr", "str"})
ADDRESSES = frozenset(
    {
        "data_ptr",
        "untyped_storage",
        "storage",
        "typed_storage",
        "cuda_array_interface",
        "__dlpack__",
    }
)
SHAPED = frozenset({"view", "reshape", "chunk", "unflatten"})


class _Stage(TorchFunctionMode):
    """Compares every operator's shapes with the tape's."""

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self._cut = cut
        self._steps = cut.tape.steps
        self.position, self.end = 0, len(self._steps)
        self.failures: list[int] = []
        self.lost = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operator_name(func)
        if self._follows(name, func, kwargs):
            return self._expected()
        if name in TEXTS:
            return self._next(name).result
        if name.strip("_") in ADDRESSES:
            raise _Lost  # whoever takes the address of nothing reads and writes there
        args, kwargs = to_meta(args), to_meta(kwargs or {})
        failed: Exception | None = None
        result: Any = None
        try:
            result = play(name, func, args, kwargs)
        except (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError) as failure:
            failed = failure
        if failed is None and name == "__set__":
            return result
        if failed is None and not tensors_in(result) and is_query(name):
            return self._cut.tape.device if isinstance(result, torch.device) else result
        step = self._next(name)
        result, shapes = to_meta(result), [self._cut.shape(*out[:2]) for out in step.outputs]
        given = [tuple(tensor.shape) for tensor in tensors_in(result)]
        agrees = failed is None and given == shapes
        entry = OPERATORS.get(name)
        moved = entry is not None and entry.moves_elements
        if agrees and (not moved or self._in_order(step, func, args, kwargs)):
            return _typed(result, step)
        if not (failed and is_unsupported(failed)):
            self.failures.append(self.position - 1)
        if not shapes:
            return step.result
        made = [
            torch.empty(shape, dtype=kind, device="meta")
            for shape, (_, _, kind) in zip(shapes, step.outputs, strict=True)
        ]
        return made[0] if len(made) == 1 and not isinstance(result, tuple | list) else made

    def _in_order(self, step: Step, func: Any, args: Any, kwargs: Any) -> bool:
        """Whether the labels that are left come out where the tape says, not just as many."""
        if any(isinstance(value, Tensor) for value in tensors_in((args[1:], kwargs))):
            return True
        before, after = step.inputs[0], step.outputs[0]
        for position, axis in enumerate(before.axes):
            if axis is None or axis.is_fixed:
                continue
            shape = [1] * len(before.axes)
            shape[position] = -1
            probe = torch.from_numpy(self._cut.left(axis)).view(shape).expand(args[0].shape)
            followed = vary(func(probe, *args[1:], **kwargs))
            if followed is None:
                continue
            out = after[0].axes[followed[0]]
            if out is not None and not np.array_equal(followed[1], self._cut.left(out)):
                return False
        return True

    def _follows(self, name: str, func: Any, kwargs: Any) -> bool:
        """Whether the next step is this one, and follows any cut without being played."""
        if self.position >= self.end:
            return False
        step = self._steps[self.position]
        in_place = func.__name__.endswith("_") or (kwargs and kwargs.get("inplace"))
        if name in SHAPED:  # an attribute that follows the cut may be among its sizes
            return False
        return step.free and step.name == name and len(step.outputs) == 1 and not in_place

    def _expected(self) -> Tensor:
        layout, size, kind = self._next(self._steps[self.position].name).outputs[0]
        return torch.empty(self._cut.shape(layout, size), dtype=kind, device="meta")

    def _next(self, name: str) -> Step:
        if self.position >= self.end or not self._is_next(self._steps[self.position], name):
            self.lost = True
            raise _Lost
        self.position += 1
        return self._steps[self.position - 1]

    def _is_next(self, step: Step, name: str) -> bool:
        return step.name == name


def _typed(result: Any, step: Step) -> Any:
    """The result with the type that the tape saw (a comparison gives bools)."""
    if isinstance(result, Tensor) and result.dtype != step.outputs[0][2]:
        return torch.empty(result.shape, dtype=step.outputs[0][2], device="meta")
    return result


def play(name: str, func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operator on meta tensors; element-wise ones need no more than a broadcast.

    The meta kernels of some (batch norm is one) take longer than the operator itself.
    """
    inside = tensors_in(args[:1])
    entry = OPERATORS.get(name)
    keeps_shape = entry is not None and entry.keeps_shape
    if not keeps_shape or not inside or "out" in kwargs:
        return func(*args, **kwargs)
    shape: tuple[int, ...] = tuple(inside[0].shape)
    if name not in ("batch_norm", "softmax"):
        shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors_in((args, kwargs))))
    if func.__name__.endswith("_") or kwargs.get("inplace"):
        return args[0]
    return torch.empty(shape, dtype=inside[0].dtype, device="meta")


class _Lost(Exception):  # noqa: N818
    """The network took another way than on the tape."""


def is_unsupported(failure: Exception) -> bool:
    """Whether an operator failed because meta tensors have no values."""
    text = str(failure).lower()
    return isinstance(failure, NotImplementedError) or "meta tensor" in text or "fake" in text


def to_meta(tree: Any) -> Any:
    """The same tree with every tensor and every device the meta device."""
    # By hand: it runs for every operator, on trees that are almost always flat.
    if isinstance(tree, Tensor):
        return tree if tree.is_meta else tree.to("meta")
    if isinstance(tree, torch.device):
        return torch.device("meta")
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*map(to_meta, tree))
    if isinstance(tree, torch.Size):
        return tree
    if isinstance(tree, tuple | list):
        return type(tree)(map(to_meta, tree))
    if isinstance(tree, dict):
        return {name: to_meta(value) for name, value in tree.items()}
    return tree


def skeleton(model: nn.Module, cut: Cut) -> nn.Module:
    """The network with cut tensors that have no storage."""
    tensors = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        shape = cut.shape(cut.tape.parameters[name], tensor.shape)
        kind = cut.tape.wider.get(tensor.dtype, tensor.dtype)
        tensors[name] = torch.empty(shape, dtype=kind, device="meta")
    return rebuild(model, tensors).eval()


def dry_run(small: nn.Module, cut: Cut, args: Any, kwargs: Mapping[str, Any]) -> list[int]:
    """Play a cut through.

    Args:
        small: The skeleton of the cut network.
        cut: The cut.
        args: Positional inputs.
        kwargs: Keyword inputs.

    Returns:
        The numbers of the steps whose shapes do not follow the cut.
    """
    stage = _Stage(cut)
    ends = [*(one.start for one in cut.tape.passes[1:]), len(cut.tape.steps)]
    for one, end in zip(cut.tape.passes, ends, strict=True):
        stage.position, stage.end = one.start, end
        runner = throwaway(small)
        try:
            with sandbox(runner), mode(runner, training=one.training), stage:
                runner(*to_meta(args), **to_meta(dict(kwargs)))
        except ChannelError:
            raise
        except Exception:
            last = stage.position - 1
            if last >= one.start and last not in stage.failures:
                stage.failures.append(last)
    return stage.failures


class _Echo(_Stage):
    """Follows a pass that is to do the same as the one on the tape, argument by argument."""

    def __init__(self, cut: Cut, model: nn.Module) -> None:
        super().__init__(cut)
        own = [*model.named_parameters(), *model.named_buffers()]
        self._names = {id(one): name for name, one in own}
        self._parameters = {id(layout): name for name, layout in cut.tape.parameters.items()}
        self._given: tuple[Any, Any] = (), {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._given = args, kwargs or {}
        return super().__torch_function__(func, types, args, kwargs)

    def _is_next(self, step: Step, name: str) -> bool:
        own = {id(one): self._names.get(id(one)) for one in tensors_in(self._given)}
        known = [self._parameters.get(id(layout)) for layout in step.inputs]
        same = step.numbers == numbers_in(name, self._given)
        return super()._is_next(step, name) and same and list(own.values()) == known


def trains_alike(model: nn.Module, cut: Cut, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether training mode does what the first pass on the tape did, found without arithmetic.

    Args:
        model: The skeleton of the network.
        cut: A cut of nothing.
        args: Positional inputs.
        kwargs: Keyword inputs.
    """
    runner = throwaway(model)
    echo = _Echo(cut, runner)
    try:
        with sandbox(runner), mode(runner, training=True), echo:
            runner(*to_meta(args), **to_meta(dict(kwargs)))
    except Exception:
        return False
    return not echo.failures and echo.position == echo.end


Numbers = dict[tuple[str, str], Any]


def numbers_of(model: nn.Module, cut: Cut, attributes: Sequence[Attribute]) -> Numbers:
    """What the modules' own numbers become after a cut.

    Args:
        model: A network with the numbers as they were.
        cut: The cut.
        attributes: Those that follow it beside those that rules know.
    """
    numbers: Numbers = {}
    for attribute in [*cut.tape.counts.values(), *attributes]:
        key = attribute.path, attribute.name
        value: Any = cut.count(attribute.labels)
        if attribute.item is not None:
            known = numbers.get(key, getattr(model.get_submodule(attribute.path), attribute.name))
            items = list(known)
            items[attribute.item] = value
            value = type(known)(items)
        numbers[key] = value
    return numbers


def orders_of(model: nn.Module, cut: Cut) -> Numbers:
    """What becomes of the buffers that list channels: those that stay, numbered anew."""
    numbers: Numbers = {}
    buffers = dict(model.named_buffers())
    for name, labels in cut.tape.orders.items():
        stays = np.flatnonzero(~cut.gone[cut.classes.of(labels)])
        own = cut.tape.parameters[name].axes[0]
        if own is None or stays.size == labels.size:
            continue
        listed = buffers[name].cpu().numpy()[~cut.gone[cut.classes.of(own.labels)]]
        path, _, attribute = name.rpartition(".")
        anew = torch.from_numpy(np.searchsorted(stays, listed))
        numbers[path, attribute] = anew.to(buffers[name].device, buffers[name].dtype)
    return numbers


def set_numbers(model: nn.Module, numbers: Numbers) -> None:
    """Give modules the numbers that follow a cut."""
    for (path, name), value in numbers.items():
        own = value.clone() if isinstance(value, Tensor) else value
        setattr(model.get_submodule(path), name, own)


def candidates(model: nn.Module, cut: Cut, number: int) -> list[Attribute]:
    """Attributes that may count what a failing step counts: same module, same number."""
    step = cut.tape.steps[number]
    found = []
    lengths = [
        *(axis.labels for layout, _, _ in step.outputs for axis in layout.axes if axis is not None),
        *step.lengths,
    ]
    paths = [step.path]
    while paths[-1]:
        paths.append(paths[-1].rpartition(".")[0])
    for path in paths[:2]:
        for name, value in vars(model.get_submodule(path)).items():
            if name == "training" or name.startswith("__"):
                continue
            for item, entry in _numbers(value):
                found += [
                    Attribute(path, name, item, labels)
                    for labels in lengths
                    if labels.size == entry and cut.count(labels) != entry
                ]
    return _distinct(found, cut)


def _numbers(value: Any) -> list[tuple[int | None, int]]:
    if isinstance(value, int) and not isinstance(value, bool):
        return [(None, value)]
    if isinstance(value, tuple | list) and value and all(type(item) is int for item in value):
        return list(enumerate(value))
    return []


def _distinct(found: list[Attribute], cut: Cut) -> list[Attribute]:
    seen: dict[tuple[object, ...], Attribute] = {}
    for one in found:
        seen.setdefault((one.path, one.name, one.item, cut.count(one.labels)), one)
    return list(seen.values())


def random_cut(tape: Tape, classes: Classes, seed: int) -> Cut:
    """Some of every layer's free classes, more at one end than at the other, never all."""
    generator = np.random.default_rng(seed)
    ratios = np.full(classes.pinned.size, 0.5)
    for number, (labels, _, _) in enumerate(tape.roles.writes):
        first, last = generator.permutation([0.1, 0.9]) if seed else generator.random(2)
        own = classes.of(labels)
        mine = classes.written[own] == number
        ratios[own[mine]] = np.linspace(first, last, labels.size)[mine]
    gone = generator.random(classes.pinned.size) < ratios
    gone &= classes.candidates
    axes = [axis for layout in tape.parameters.values() for axis in layout.axes if axis is not None]
    for labels in (*(axis.labels for axis in axes), *(read.labels for read in tape.reads)):
        members = classes.of(labels)
        if gone[members].all():
            gone[members[0]] = False
    return Cut(tape, classes, gone)
