"""Dry run: a cut played through the network's own code, on tensors without storage.

A size written in the code (`view(-1, 1024)`) cannot be seen in a layout. So a cut is tried dry:
the network, with its tensors cut, runs on the meta device, and after every operator the shape
that came out is compared with the shape that the tape says. Where they differ, the expected shape
is handed on, so that one run finds every such place. Costs no memory and no arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from secateur.channels.labels.events import Step
from secateur.channels.labels.op_names import is_query, numbers_in, operator_name
from secateur.channels.labels.signature import in_places
from secateur.channels.modes import mode
from secateur.channels.operators.indexing import vary
from secateur.channels.operators.registry import has_trait
from secateur.channels.rebuild import rebuild, throwaway
from secateur.channels.sandbox import sandbox
from secateur.channels.tracing.cut import Cut
from secateur.channels.tracing.played_operator import is_unsupported, play, to_meta
from secateur.errors import ChannelError
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import tensors_in

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
        if name == "__get__":
            answer = func(*args)  # a shape, a type: the most frequent of all
            if not tensors_in(answer):
                return self._cut.tape.device if isinstance(answer, torch.device) else answer
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
        moved = has_trait(name, "moves_elements")
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


class _Lost(Exception):  # noqa: N818
    """The network took another way than on the tape."""


def skeleton(model: nn.Module, cut: Cut) -> nn.Module:
    """The network with cut tensors that have no storage."""
    tensors = {}
    for name, tensor in own_tensors(model):
        shape = cut.shape(cut.tape.parameters[name], tensor.shape)
        kind = cut.tape.wider.get(tensor.dtype, tensor.dtype)
        tensors[name] = torch.empty(shape, dtype=kind, device="meta")
    return rebuild(model, tensors).eval()


def dry_run(
    small: nn.Module, cut: Cut, args: Any, kwargs: Mapping[str, Any], *, used_up: bool = False
) -> list[int]:
    """Play a cut through.

    Args:
        small: The skeleton of the cut network; copies of it run.
        cut: The cut.
        args: Positional inputs.
        kwargs: Keyword inputs.
        used_up: It is not needed afterwards, so that the last to run may be itself.

    Returns:
        The numbers of the steps whose shapes do not follow the cut.
    """
    stage = _Stage(cut)
    args, kwargs = to_meta(args), to_meta(dict(kwargs))
    ends = [*(one.start for one in cut.tape.passes[1:]), len(cut.tape.steps)]
    for one, end in zip(cut.tape.passes, ends, strict=True):
        stage.position, stage.end = one.start, end
        runner = small if used_up and one is cut.tape.passes[-1] else throwaway(small)
        try:
            with sandbox(runner), mode(runner, training=one.training), stage:
                runner(*args, **kwargs)
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
        self._names = {id(one): name for name, one in own_tensors(model)}
        self._parameters = {id(layout): name for name, layout in cut.tape.parameters.items()}
        self._given: tuple[Any, Any] = (), {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._given = in_places(func, args, kwargs or {})  # as the tape has them
        return super().__torch_function__(func, types, args, kwargs)

    def _is_next(self, step: Step, name: str) -> bool:
        own = {id(one): self._names.get(id(one)) for one in tensors_in(self._given)}
        known = [self._parameters.get(id(layout)) for layout in step.inputs]
        same = step.numbers == numbers_in(name, self._given)
        return super()._is_next(step, name) and same and list(own.values()) == known


def trains_alike(model: nn.Module, cut: Cut, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether training mode does what the first pass on the tape did, found without arithmetic.

    Args:
        model: The skeleton of the network; it is used up.
        cut: A cut of nothing.
        args: Positional inputs.
        kwargs: Keyword inputs.
    """
    echo = _Echo(cut, model)
    args, kwargs = to_meta(args), to_meta(dict(kwargs))
    try:
        with sandbox(model), mode(model, training=True), echo:
            model(*args, **kwargs)
    except Exception:
        return False
    return not echo.failures and echo.position == echo.end
