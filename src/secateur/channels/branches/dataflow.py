"""Dataflow: which operator of one pass reads what which other gave, and in which module it ran.

Labels say which channels hang together; here it is whole tensors. Each call of a torch function is
a step; each tensor that it gives, and each that it writes into, is a new value.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.labels.op_names import is_query, operator_name
from secateur.channels.modes import mode
from secateur.channels.rebuild import throwaway
from secateur.channels.sandbox import sandbox
from secateur.foundation.module_stack import module_stack
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import Inputs, arguments, tensors_in


@dataclass(frozen=True, slots=True)
class Sum:
    """What an addition adds: two activations of the shape that comes out.

    Attributes:
        values: The two, by number.
        are_zero: Whether each holds nothing but zeros.
    """

    values: tuple[int, int]
    are_zero: tuple[bool, bool]


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a torch function.

    Attributes:
        name: The operator's name.
        stack: The modules in which it ran, outermost first.
        reads: The values that it read, by number.
        gives: Those that it gave.
        own: The network's own tensors among its arguments, by name.
        sum: What it adds up, if it is such an addition.
    """

    name: str
    stack: tuple[str, ...]
    reads: tuple[int, ...]
    gives: tuple[int, ...]
    own: tuple[str, ...]
    sum: Sum | None = None

    @property
    def path(self) -> str:
        """The innermost module in which it ran."""
        return self.stack[-1] if self.stack else ""


Form = str | list[str]
"""What a module gives: `tensor`, or a list of `tensor` and `none` where it gives a tuple.

What stands for it may give a zero that has no axes (`tensor`) or, in training, its input's shape
(`like`)."""

TENSOR, LIKE, NONE = "tensor", "like", "none"


@dataclass(slots=True)
class Flow:
    """One pass of a network.

    Attributes:
        steps: The calls.
        outputs: The values that the network gave.
        forms: By module that ran, the form of what it gave; None if it was no tensor and no tuple
            of tensors, or not always the same.
    """

    steps: list[Step] = field(default_factory=list)
    outputs: tuple[int, ...] = ()
    forms: dict[str, Form | None] = field(default_factory=dict)


def flow_of(model: nn.Module, example_inputs: Inputs, *, training: bool = False) -> Flow:
    """Run a copy of a network once, and note what reads what.

    Args:
        model: The network; it is not touched.
        example_inputs: Its inputs.
        training: Training mode, with its dice held still; evaluation mode if not.

    Raises:
        Exception: Whatever the network raises.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> [(step.name, step.path, step.own) for step in flow_of(net, torch.zeros(1, 2)).steps]
        [('linear', '0', ('0.weight', '0.bias')), ('relu', '1', ())]
    """
    runner = throwaway(model)
    args, kwargs = arguments(example_inputs)
    watch = _Watch(runner)
    with sandbox(runner), mode(runner, training=training), watch.modules(), watch:
        outputs = runner(*args, **kwargs)
    watch.flow.outputs = tuple(watch.number(one) for one in tensors_in(outputs))
    return watch.flow


class _Watch(TorchFunctionMode):
    """Notes the calls of a copy that runs."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.flow = Flow()
        self._names = {id(module): name for name, module in model.named_modules()}
        self._own = {id(tensor): name for name, tensor in own_tensors(model)}
        self._stack: list[str] = []
        # Of each tensor that is alive its number, and the version of its storage at that number.
        self._known: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._count = 0

    def number(self, tensor: Tensor) -> int:
        """The number of what a tensor holds now."""
        return int(self._known[tensor][0]) if tensor in self._known else self._new(tensor)

    def _new(self, tensor: Tensor) -> int:
        self._count += 1
        self._known[tensor] = (self._count, _version(tensor))
        return self._count

    @contextmanager
    def modules(self) -> Iterator[None]:
        """While open, it is known which modules run, and what they give."""

        def leave(module: nn.Module, _: object, output: object) -> None:
            name = self._names.get(id(module), "")
            found = form_of(output)
            self.flow.forms[name] = found if self.flow.forms.get(name, found) == found else None

        handle = register_module_forward_hook(leave)
        try:
            with module_stack(self._stack, lambda module: self._names.get(id(module), "")):
                yield
        finally:
            handle.remove()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = operator_name(func)
        given = tensors_in((args, kwargs))
        own = tuple(self._own[id(one)] for one in given if id(one) in self._own)
        reads = tuple(self.number(one) for one in given if id(one) not in self._own)
        versions = [_version(one) for one in given]
        added = self._added(name, args)
        values = [self.number(one) for one in added]
        zeros = [not bool(one.count_nonzero()) for one in added]
        out = func(*args, **kwargs)
        outputs = tensors_in(out)
        written = [one for one, old in zip(given, versions, strict=True) if _version(one) != old]
        fresh = [one for one in outputs if not any(one is other for other in given)]
        if not (written or fresh) and (outputs or is_query(name)):
            return out
        gives = (*self._written(written), *(self._new(one) for one in fresh))
        alike = added and all(one.shape == outputs[0].shape for one in added)
        total = Sum((values[0], values[1]), (zeros[0], zeros[1])) if alike else None
        self.flow.steps.append(Step(name, tuple(self._stack), reads, gives, own, total))
        return out

    def _added(self, name: str, args: Any) -> list[Tensor]:
        """The two activations that an addition adds, or nothing."""
        if name != "add":
            return []
        found = [one for one in args[:2] if isinstance(one, Tensor) and id(one) not in self._own]
        return found if len(found) == 2 else []

    def _written(self, written: list[Tensor]) -> tuple[int, ...]:
        """New numbers of all that is alive and shares its storage with what was written into."""
        if not written:
            return ()
        shared = {_storage(one) for one in written}
        touched = [one for one in list(self._known) if _storage(one) in shared]
        return tuple(self._new(one) for one in touched)


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else int(tensor._version)


def _storage(tensor: Tensor) -> int:
    if tensor.layout != torch.strided:
        return id(tensor)
    return tensor.untyped_storage().data_ptr()


def form_of(output: object) -> Form | None:
    """The form of what a module gave; None where it is of another kind.

    Example:
        >>> form_of(torch.ones(1)), form_of((torch.ones(1), None)), form_of({"x": 1})
        ('tensor', ['tensor', 'none'], None)
    """
    if isinstance(output, Tensor):
        return TENSOR
    if type(output) not in (tuple, list):
        return None
    parts = [form_of(one) if one is not None else NONE for one in output]  # type: ignore[attr-defined]
    return [str(one) for one in parts] if all(isinstance(one, str) for one in parts) else None
