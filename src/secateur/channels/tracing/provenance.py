"""Provenance: what is known of each tensor of a pass, and whether it still holds.

A layout is filed when its tensor is made. Its memory may be written afterwards, by an operator or
by nobody that is seen, a run may leave something behind for the next one, and a number or a branch
may carry what is in an input into a literal: then the layout stays, but nothing in it is constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.labels.axis_labels import AxisLabels, TensorLabels, plain
from secateur.channels.labels.op_call import Call
from secateur.channels.labels.op_names import has_numbers, is_random
from secateur.channels.operators.registry import Operator, has_trait
from secateur.channels.sandbox import is_in_place
from secateur.channels.tracing.known_tensors import (
    ATTRIBUTE,
    CHANCE,
    HANDED_OUT,
    Writes,
    contents,
    dice,
    held,
    is_borrowed,
    lists_of,
    memory_of,
)
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import tensors_in

# How many elements these give depends on what is in their inputs.
COUNTS = frozenset(
    ("nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount")
)
BLANK = frozenset(("zeros", "zeros_like", "new_zeros", "ones", "ones_like", "new_ones"))


class Origins:
    """The layouts of the tensors of a pass.

    Args:
        unsteady: What an earlier run was found to change: names of buffers and attributes, and
            `CHANCE` where Python's own random numbers are drawn.

    Attributes:
        unsteady: The same with what this run changes.
        names: The network's own tensors, by identity.
        looked_at: Buffers of whole numbers that were used, besides as lists of channels.
    """

    def __init__(self, unsteady: Iterable[str] = ()) -> None:
        self.unsteady = set(unsteady)
        self.names: dict[int, str] = {}
        self.looked_at: set[str] = set()
        self._layouts: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._writes = Writes()
        self._lists: dict[int, str] = {}
        self._memory: dict[str, tuple[int, ...]] = {}
        self._dice = 0
        self._numbers, self._branched = False, CHANCE in self.unsteady

    def __contains__(self, tensor: Tensor) -> bool:
        """Whether its birth was seen."""
        return tensor in self._layouts

    def begin(self, model: nn.Module, parameters: Mapping[str, TensorLabels]) -> None:
        """A copy of the network is about to run: know what it has."""
        self._lists = {id(one): name for name, one in lists_of(model) if name not in self.unsteady}
        for name, tensor in own_tensors(model):
            self.names[id(tensor)] = name
            self._layouts[tensor] = (parameters[name], None, 0, None)
        self._memory, self._dice = memory_of(model), dice()
        steady = not any(name.startswith(ATTRIBUTE) for name in self.unsteady)
        for tensor in held(model):
            if tensor not in self:
                constant = steady and not is_borrowed(tensor)
                self.file(tensor, plain(tensor.dim(), constant=constant, given=True))

    def look_back(self, model: nn.Module) -> None:
        """The copy has run: note what it has changed of its own."""
        now = memory_of(model)
        self.unsteady.update(n for n, place in self._memory.items() if now.get(n) != place)
        if self._dice != dice():
            self.unsteady.add(CHANCE)

    def end(self) -> None:
        """Keep nothing of the copy alive."""
        self.names, self._lists = {}, {}

    def file(self, tensor: Tensor, layout: TensorLabels) -> None:
        """Note the layout of a tensor."""
        seen = contents(tensor) if layout.constant and layout.given else None
        self._layouts[tensor] = (layout, tensor._version, self._writes.state(tensor), seen)

    def layout(self, tensor: Tensor) -> TensorLabels | None:
        """What was filed of a tensor, less what has been overtaken since; None if nothing was."""
        filed = self._layouts.get(tensor)  # type: ignore[no-untyped-call]
        if filed is None:
            return None
        layout, version, written, seen = filed
        if version not in (None, tensor._version) or written != self._writes.state(tensor):
            given = layout.given and not self._writes.is_learnt(tensor)
            return replace(without_constants(layout), given=given)
        if seen is not None and seen != contents(tensor):
            return replace(without_constants(layout), given=False)
        return layout  # type: ignore[no-any-return]

    def list_of(self, tensor: Tensor) -> str:
        """The name of a buffer of whole numbers that the network's files hold; empty if none."""
        return self._lists.get(id(tensor), "")

    def note_unseen_write(self, tensor: Tensor) -> None:
        """Something unseen has written into a tensor."""
        self._writes.note(tensor)

    def note_answer(self, question: str) -> None:
        """Python has been told something about an input: a number, or which way to go."""
        self._branched |= question == "__bool__"
        self._numbers |= question != "__bool__"

    def note_writes(self, call: Call, args: Sequence[Any]) -> None:
        """Memory that is written with what is no constant, or that others may write from now on."""
        target = call.kwargs.get("out", args[0] if args else None)
        if not isinstance(target, Tensor):
            return
        layouts = call.inputs.values()
        if call.name in HANDED_OUT:
            self._writes.hand_out(target)
            self._numbers |= not is_constant(layouts)
        elif is_in_place(call.func, call.kwargs):
            if id(target) in self.names and not isinstance(target, nn.Parameter):
                self.unsteady.add(self.names[id(target)])
            if not is_constant(layouts) or (self._numbers and has_numbers(call.args)):
                self._writes.note(target, given=all(one.given for one in layouts))

    def note_uses(self, call: Call) -> None:
        """Lists that an operator takes for something else than the order of channels."""
        for tensor in tensors_in((call.args, call.kwargs)) if self._lists else ():
            if not any(tensor is one for one in (*call.orders, call.out)):
                self.looked_at.add(self.list_of(tensor))

    def steadied(self, call: Call, layouts: Sequence[TensorLabels]) -> list[TensorLabels]:
        """Layouts of a result, less the constants that an input may have decided."""
        literal = (self._numbers and _takes_numbers(call)) or (self._branched and _is_literal(call))
        self._numbers |= _counts(call) and not is_constant(call.inputs.values())
        if not literal:
            return list(layouts)
        target = self.layout(call.args[0]) if call.name == "__setitem__" else None
        if target is not None:
            self.file(call.args[0], without_constants(target))
        return [without_constants(layout) for layout in layouts]


def without_constants(layout: TensorLabels) -> TensorLabels:
    """The same layout with nothing constant in it."""
    axes = [axis and AxisLabels(axis.labels, np.zeros(axis.size, np.bool_)) for axis in layout.axes]
    return TensorLabels(tuple(axes), may_be_nonzero=True, given=layout.given)


def is_constant(layouts: Iterable[TensorLabels]) -> bool:
    """Whether nothing else than constants is among these."""
    return all(layout.constant for layout in layouts)


def keeps_constants(call: Call, entry: Operator, *, values: bool) -> bool:
    """Whether a rule may call a result constant: its inputs are, or do not matter.

    Args:
        call: The call.
        entry: What is known of its operator.
        values: The tensors hold what they do for every input where they are constant.
    """
    if is_constant(call.inputs.values()) or call.name in BLANK:
        return True
    source = call.args[0] if values and call.args and entry.keeps_zero is True else None
    if not isinstance(source, Tensor) or not call.layout(source).constant:
        return False
    return not bool(source.any())  # whichever parts of zeros it takes, they are zeros


def is_known(call: Call) -> bool:
    """Whether what an operator without a rule makes of constants is a constant."""
    foreign = "." in call.name or ":" in call.name
    gradient = getattr(getattr(call.func, "__self__", None), "__name__", "") in ("grad", "_grad")
    return bool(call.inputs) and not (foreign or gradient or is_random(call.name))


def _is_literal(call: Call) -> bool:
    """Whether nothing but literals and buffers goes in."""
    return all(layout.constant and layout.given for layout in call.inputs.values())


def _counts(call: Call) -> bool:
    """Whether the number of elements that come out depends on those that go in."""
    chosen = call.args[1:] if call.name == "__getitem__" else ()
    return call.name in COUNTS or any(one.dtype == torch.bool for one in tensors_in(chosen))


def _takes_numbers(call: Call) -> bool:
    """Whether a value in the result may come of a number that was once in a tensor."""
    computed = has_trait(call.name, "values_from_numbers")
    computed |= _is_literal(call) or call.name == "__setitem__"
    return computed and not call.name.endswith("zeros") and has_numbers((call.args, call.kwargs))
