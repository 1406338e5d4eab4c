"""The recorder: one forward pass, written down on a tape, operator by operator.

The network runs once under a `TorchFunctionMode`. Every call of a torch function passes through
`Recorder`, which computes it as usual, looks its rule up in the table of
`secateur.channels.operators`, and files the layout of the result. Operators without a rule pin what
they touch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.float64 import WIDER, Widener, Wider
from secateur.channels.labels.axis_labels import TensorLabels, Vector, plain
from secateur.channels.labels.events import Attribute, Pass, Place, Step
from secateur.channels.labels.op_call import Call
from secateur.channels.labels.op_names import (
    CARRIES,
    FINITENESS,
    QUESTIONS,
    asks_length,
    is_query,
    numbers_in,
    operator_name,
)
from secateur.channels.labels.signature import in_places
from secateur.channels.operators import OPERATORS
from secateur.channels.operators.registry import (
    follows_any_cut,
    may_be_nonzero,
    sums_only_zeros,
)
from secateur.channels.sandbox import WriteBack, is_in_place
from secateur.channels.source_line import calling_line
from secateur.channels.tracing.known_tensors import Unseen, unwrapped
from secateur.channels.tracing.provenance import Origins, is_constant, is_known, keeps_constants
from secateur.channels.tracing.tape import Tape
from secateur.errors import ChannelError
from secateur.foundation.module_stack import module_stack
from secateur.foundation.run_example import tensors_in

READS_VALUES = frozenset(("mul", "masked_fill", "div", "true_divide"))
RESHAPES = frozenset(
    ("unsqueeze", "squeeze", "transpose", "t", "swapaxes", "swapdims", "resize", "as_strided")
)


class Recorder(Tape, TorchFunctionMode):
    """Records a forward pass.

    Args:
        model: The network; copies of it run, one for each pass.
        constants: Follow what is constant for every input (compaction needs it, tracing not), in
            float64.
        choices: Which way to take at each choice, by its place.
        holds: Steps with a size written in the code, and how hard to hold their channels; see
            `Hold`.
        wider: The type that each type becomes, where constants are followed.
        unsteady: What an earlier run was found to change, see `Origins`.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        constants: bool = False,
        choices: Mapping[Place, int] | None = None,
        holds: Mapping[int, int] | None = None,
        wider: Wider = WIDER,
        unsteady: frozenset[str] = frozenset(),
    ) -> None:
        TorchFunctionMode.__init__(self)
        Tape.__init__(self, model, constants=constants, choices=choices, wider=wider)
        for name in unsteady & set(self.parameters):
            self.parameters[name] = replace(self.parameters[name], constant=False)
        self.origins = Origins(unsteady)
        self.last_path = ""
        self._holds = holds or {}
        self._widener: Widener | None = None
        self._keep: WriteBack | None = None
        self._running = False
        self._unseen: Unseen | None = None
        self._guards: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self._modules: dict[str, nn.Module] = {}
        self._paths: dict[int, str] = {}

    def begin(self, model: nn.Module, keep: WriteBack, *, training: bool) -> None:
        """A copy of the network is about to run: know its tensors and modules."""
        self.passes.append(Pass(training, len(self.steps)))
        wider = self.wider
        self._widener = Widener(model, wider=wider, keep=keep) if self.constants else None
        self._keep = keep
        self._modules = dict(model.named_modules())
        self._paths = {id(module): name for name, module in self._modules.items()}
        self.origins.begin(model, self.parameters)

    def look_back(self, model: nn.Module) -> None:
        """The copy has run: note what it has changed of its own."""
        self.origins.look_back(model)
        for name in self.origins.looked_at & set(self.orders):
            self.ties.pin(self.orders[name], f"{name} (a list that is used otherwise too)", "")

    def end(self) -> None:
        """Keep nothing of the copy alive."""
        self._widener, self._keep, self._modules, self._paths = None, None, {}, {}
        self._unseen = None
        self.origins.end()

    def layout(self, tensor: Tensor) -> TensorLabels:
        """The layout of a tensor; one whose birth was not seen is fixed, and not constant."""
        known = self.origins.layout(tensor)
        if known is not None:
            return known
        inside = unwrapped(tensor)
        if inside is not None and inside in self.origins:
            self._pin_all(self.layout(inside), "a transform of functions (vmap, grad)")
        return plain(tensor.dim(), given=False)

    def take_input(self, tensor: Tensor) -> None:
        """File an input of the network: fixed, and never constant."""
        self.file(tensor, plain(tensor.dim(), given=True))

    def file(self, tensor: Tensor, layout: TensorLabels) -> None:
        """Note the layout of a tensor."""
        self.origins.file(tensor, layout)

    def count(self, name: str, labels: Vector) -> None:
        """An attribute of the running module counts these labels, if it has it and it fits."""
        value = getattr(self._modules[self.path], name, None)
        if type(value) is int and value == labels.size:
            self.counts.setdefault((self.path, name), Attribute(self.path, name, None, labels))

    def name_of(self, tensor: Tensor) -> str | None:
        """The name of one of the network's own tensors."""
        return self.origins.names.get(id(tensor))

    def list_of(self, tensor: Tensor) -> str:
        """The name of a buffer of whole numbers that the network's files hold; empty if none."""
        return self.origins.list_of(tensor)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        outer, self._running = self._running, True
        paused = self._unseen is not None and self._unseen.pause()
        try:
            return self._called(func, args, kwargs or {})
        finally:
            self._running = outer
            if paused and self._unseen is not None:
                self._unseen.resume()

    def _called(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = operator_name(func)
        placed, named = in_places(func, args, kwargs)
        line = self._question(name, placed) if name in QUESTIONS else ""
        call = Call(self, name, func, self._originals(name, func, placed), named)
        call.inputs = {id(t): self.layout(t) for t in tensors_in((call.args, named))}
        if self._keep is not None and is_in_place(func, kwargs):
            self._keep.before(args, kwargs)
        run = self._widener and self._widener.run
        call.out = run(func, name, args, kwargs) if run else func(*args, **kwargs)
        if name == "__bool__" and line:
            self.told[line] = (
                f"The branch at {line} looks at an input; what is traced is its way for "
                f"{bool(call.out)}."
            )
        outputs = tensors_in(call.out)
        if name != "__set__" and (outputs or not is_query(name)):
            self.origins.note_writes(call, placed)
            self._note_guard(call, outputs)
            self._record(call, outputs)
        elif asks_length(name, func):
            self.asked += call.inputs.values()
        elif name == "__set__" and getattr(func.__self__, "__name__", "") == "data":
            self.file(placed[0], self.layout(placed[1]))
        return call.out

    def unseen(self) -> Unseen:
        """While open, what runs outside of every torch function is noticed, and held."""
        self._unseen = Unseen(lambda: self._running, self._hold_unseen)
        return self._unseen

    def _hold_unseen(self, operator: str, tensors: list[Tensor], writes: bool) -> None:
        for tensor in tensors:
            if tensor in self.origins:
                self._pin_all(self.layout(tensor), f"{operator}, outside of torch's functions")
            if writes:
                self.origins.note_unseen_write(tensor)

    def _pin_all(self, layout: TensorLabels, operator: str) -> None:
        line = calling_line()
        for axis in layout.axes:
            if axis is not None:
                self.ties.pin(axis.labels, f"{operator}{line and f' at {line}'}", self.path)

    def _originals(self, name: str, func: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments as they were, where a rule looks at what is overwritten: values, shape."""
        if not args or not isinstance(args[0], Tensor) or not is_in_place(func, {}):
            return args
        if self.constants and name in READS_VALUES:
            first = args[0].clone()
        elif name in RESHAPES:
            first = args[0].detach()
        else:
            return args
        self.file(first, self.layout(args[0]))
        return (first, *args[1:])

    def _question(self, name: str, args: Sequence[Any]) -> str:
        """A Python branch may depend on parameters, or on inputs: not on both.

        Returns:
            The line that asks, where the answer is another one for other inputs.
        """
        tensor = args[0]
        layout = self.layout(tensor)
        if layout.constant or self.is_guard(tensor):
            return ""
        line = calling_line()
        if layout.given:
            self.origins.note_answer(name)
            return line or "a line"
        if name == "tolist" and _is_count(tensor):
            self.origins.note_answer(name)
            self.told[line] = (
                f"At {line or 'a line'} Python reads whole numbers that layers decide; what is "
                "traced is what it did with those of the example."
            )
            return ""
        raise ChannelError(
            "tracing channels",
            self.path or "the model",
            given=f"a Python branch on the value of an activation ({name}{line and f' at {line}'})",
            expected="control flow that does not depend on what layers compute",
            remedy="Write the branch with torch.where, or trace the submodules one by one.",
        )

    def is_guard(self, tensor: Tensor) -> bool:
        """Whether a tensor only says what is finite: a guard against overflow, and no path."""
        return tensor in self._guards

    def _note_guard(self, call: Call, outputs: list[Tensor]) -> None:
        carries = call.name in CARRIES and all(
            map(self.is_guard, tensors_in((call.args, call.kwargs)))
        )
        if carries or call.name in FINITENESS:
            self._guards.update((tensor, True) for tensor in outputs)

    def _record(self, call: Call, outputs: list[Tensor]) -> None:
        """Ask the rule; where there is none or it fails, what the operator touches is held."""
        inputs, mark = list(call.inputs.values()), self.mark()
        try:
            layouts, free = self._ruled(call, outputs)
        except ChannelError:
            raise
        except Exception as failure:
            self.rewind(mark)
            call.lengths.clear()
            layouts, free = self._without_rule(call, outputs, _reason(failure)), False
        self.origins.note_uses(call)
        given = all(layout.given for layout in inputs)
        layouts = self.origins.steadied(call, layouts)
        for tensor, layout in zip(outputs, layouts, strict=True):
            self.file(tensor, layout.known_given(given))
        kinds = [(layout, t.shape, t.dtype) for layout, t in zip(layouts, outputs, strict=True)]
        plain_result = None if outputs else call.out
        numbers = numbers_in(call.name, (call.args, call.kwargs))
        step = Step(call.name, self.path, plain_result, kinds, inputs, call.lengths, free, numbers)
        self.steps.append(step)
        self.hold(len(self.steps) - 1, self._holds.get(len(self.steps) - 1, 0))

    def _ruled(self, call: Call, outputs: list[Tensor]) -> tuple[list[TensorLabels], bool]:
        """The layouts that come out, and whether the operator follows every cut."""
        entry, reads = OPERATORS.get(call.name), len(self.reads)
        given = None if entry is None else entry.rule(call)
        if entry is None or given is None:
            return self._without_rule(call, outputs, "" if entry else "no rule"), False
        layouts = [given] if isinstance(given, TensorLabels) else list(given)
        if not all(one.fits(tensor) for one, tensor in zip(layouts, outputs, strict=True)):
            raise ValueError  # a rule that misread the call is found out by what came out
        if not keeps_constants(call, entry, values=self.constants):
            layouts = [replace(one, constant=False) for one in layouts]
        for read in self.reads[reads:]:
            read.may_be_nonzero = not sums_only_zeros(entry, call)
        if any(any(layout.axes) for layout in layouts) and may_be_nonzero(entry, call, layouts):
            layouts = [replace(layout, may_be_nonzero=True) for layout in layouts]
        return layouts, follows_any_cut(entry, call, layouts)

    def _without_rule(self, call: Call, outputs: list[Tensor], reason: str) -> list[TensorLabels]:
        """Everything that went in is held; constant is only what torch itself made of constants."""
        inputs = list(call.inputs.values())
        line = calling_line() if reason else ""
        for layout in inputs:
            call.pin_axes(layout, reason=f"{reason}{line and f', {line}'}")
        constant = is_known(call) and is_constant(inputs)
        return [plain(tensor.dim(), constant=constant) for tensor in outputs]

    def modules(self) -> AbstractContextManager[None]:
        """While open, `path` follows the modules that run."""
        return module_stack(self.stack, self._entered)

    def _entered(self, module: nn.Module) -> str:
        self.last_path = self._paths.get(id(module), self.path)
        return self.last_path


def _reason(failure: Exception) -> str:
    return f"{type(failure).__name__} in its rule"


def _is_count(tensor: Tensor) -> bool:
    """Whether a tensor holds whole numbers: places and counts (of tokens for each expert, say)."""
    return tensor.dtype in (torch.int64, torch.int32)
