"""Programs: what an exported program says of its values, operators and memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from secateur.runtime.compiler.exporting import NotCapturedError, fixed_size
from secateur.runtime.compiler.rules import RESHAPES

aten = torch.ops.aten

# Operators whose result may share its memory with what they read.
_VIEWS = {*RESHAPES, aten.contiguous, aten.alias, aten.detach, aten.dropout, aten.slice}
_VIEWS |= {aten.select, aten.permute, aten.transpose, aten.t, aten.expand, aten.narrow}
_VIEWS |= {aten.chunk, aten.split, aten.unbind, aten.to, aten.movedim, aten.view_as}


def batch_of(inputs: Sequence[fx.Node]) -> tuple[str, int]:
    """The symbol for the size of the batch, and its size in the example."""
    sizes = [n.meta["val"].shape[0] for n in inputs if n.meta["val"].dim()]
    symbols = [size for size in sizes if fixed_size(size) is None]
    if not symbols:
        fixed = f"fixed to {sizes[0]} inside" if sizes else "nowhere in its inputs"
        raise NotCapturedError(f"the size of the batch is {fixed}")
    return str(symbols[0]), _hint(symbols[0])


def _hint(size: Any) -> int:
    """A size in the example."""
    return size if isinstance(size, int) else int(size.node.hint or 1)


def count_of(node: fx.Node) -> int:
    """Elements of a value in the example."""
    return prod(map(_hint, node.meta["val"].shape))


def lead_of(node: fx.Node) -> str:
    """The number of rows of a value, as a formula."""
    *before, _ = node.meta["val"].shape
    return str(prod(before))


def dims_of(node: fx.Node) -> tuple[int | None, ...] | None:
    """The axes of a tensor in fp32, None for those that are not fixed; None of anything else."""
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        return None
    if value.layout is not torch.strided:
        return None
    return tuple(map(fixed_size, value.shape))


class Memory:
    """Which values of a program may lie in the same memory, and who reads them until when."""

    def __init__(self, program: fx.Graph) -> None:
        self._places = {node: place for place, node in enumerate(program.nodes)}
        self._owners: dict[fx.Node, fx.Node] = {}
        self._family: defaultdict[fx.Node, list[fx.Node]] = defaultdict(list)
        for node in program.nodes:
            shares = packet_of(node.target) in _VIEWS or changed_by(node) is not None
            first = node.args[0] if shares and node.args else None
            owner = self._owners[first] if isinstance(first, fx.Node) else node
            self._owners[node] = owner
            self._family[owner].append(node)

    def check(self, changed: fx.Node, by: fx.Node) -> None:
        """Make sure that no other value in the changed memory is read later.

        Raises:
            NotCapturedError: One is.
        """
        now = self._places[by]
        for other in self._family[self._owners[changed]]:
            if other is changed or other is by or self._places[other] > now:
                continue
            if any(self._places[user] > now for user in other.users):
                raise NotCapturedError(f"{changed} is changed in place while {other} is in use")


def constants_of(program: ExportedProgram) -> dict[str, Tensor]:
    """Placeholder -> a copy of the parameter, buffer or constant that it stands for."""
    found = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is not InputKind.USER_INPUT:
            if spec.target is None:
                raise NotCapturedError(f"it holds {spec.arg.name}, which is no tensor")
            kept = spec.target in program.state_dict
            tensor = (program.state_dict if kept else program.constants)[spec.target]
            if not isinstance(tensor, Tensor):
                raise NotCapturedError(f"it holds {spec.target}, a {type(tensor).__name__}")
            found[spec.arg.name] = tensor.detach().clone()
    return found


def draws(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operator draws random numbers; a dropout that is switched off draws none."""
    if torch.Tag.nondeterministic_seeded not in getattr(target, "tags", ()):
        return False
    given = bound(target, args, kwargs)
    return bool(given.get("train", given.get("training", True))) and given.get("p") != 0


def packet_of(target: Any) -> Any:
    """The operator of an overload."""
    return getattr(target, "overloadpacket", target)


def changed_by(node: fx.Node) -> fx.Node | None:
    """The node whose tensor an in-place operator writes into; None for a functional one."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return None
    written = [a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write]
    if written != [schema.arguments[0].name] or not isinstance(node.args[0], fx.Node):
        raise NotCapturedError(f"{node.target} writes into its arguments")
    return node.args[0]


def functional(target: Any) -> Any:
    """`relu` for `relu_`; the operator itself where there is none."""
    name = str(packet_of(target)).rpartition(".")[2].removesuffix("_")
    return getattr(getattr(aten, name, None), target._overloadname, target)


def bound(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Argument name -> value, the defaults filled in."""
    bound = {a.name: a.default_value for a in target._schema.arguments if a.has_default_value()}
    names = (argument.name for argument in target._schema.arguments)
    return bound | dict(zip(names, args, strict=False)) | dict(kwargs)


def name_of(node: fx.Node) -> str:
    """The module that called the operator, or the value's own name outside all modules."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return (stack[-1][0] if stack else "") or node.name
