"""Capture: from an `nn.Module` to a graph, by `torch.export` with a dynamic batch axis."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves, tree_map

from secateur.runtime.compiler.graph import Graph, Node, NodeKind
from secateur.runtime.compiler.rules import RESHAPES, RULES
from secateur.runtime.compiler.whole import serving_copy

aten = torch.ops.aten

# Operators whose result may share its memory with what they read.
_VIEWS = {*RESHAPES, aten.contiguous, aten.alias, aten.detach, aten.dropout, aten.slice}
_VIEWS |= {aten.select, aten.permute, aten.transpose, aten.t, aten.expand, aten.narrow}
_VIEWS |= {aten.chunk, aten.split, aten.unbind, aten.to, aten.movedim, aten.view_as}

# Views that need a memory layout, and what gives the same from any.
_LOOSER = {
    aten.view.default: aten.reshape.default,
    aten._unsafe_view.default: aten.reshape.default,
    aten.view_as.default: aten.reshape_as.default,
}


class NotCapturedError(Exception):
    """The network is no graph of one batch in and one out; the text says why."""


def capture(model: nn.Module, example: Tensor) -> Graph:
    """Write a network down as a graph, whatever the size of the batch.

    Weights are copied: a later change of the model does not reach the graph.

    Args:
        model: A network of one tensor in and one out, on the CPU; taken in evaluation mode.
        example: A batch `[N, ...]` of two or more: of one, the batch would be a constant.

    Raises:
        NotCapturedError: `torch.export` fails on it, the size of the batch is fixed inside, or a
            tensor is changed in place while something else still reads its memory.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Dropout())
        >>> capture(net, torch.zeros(2, 4)).nodes
        (<input input 4>, <linear 0 2>, <relu 1 2>)
    """
    net = serving_copy(model)
    try:
        # The exporter speaks to its own developers in warnings.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            batch = torch.export.Dim.AUTO
            program = torch.export.export(net, (example,), dynamic_shapes=({0: batch},))
    except Exception as error:
        raise NotCapturedError(f"torch.export: {_said(error)}") from error
    try:
        return _Reader(program).graph()
    except NotCapturedError:
        raise
    except Exception as error:
        raise NotCapturedError(f"its graph cannot be read: {_said(error)}") from error


def _said(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__} {lines[0][:200]}"


class _Reader:
    """Reads an exported program, operator by operator."""

    def __init__(self, program: ExportedProgram) -> None:
        self._program = program.graph
        self._constants = _constants(program)
        self._values: dict[str, Any] = {}
        self._nodes: dict[Node, None] = {}
        self._memory = _Memory(program.graph)
        inputs = [n for n in program.graph.nodes if n.op == "placeholder"]
        sources = [n for n in inputs if n.name not in self._constants]
        if len(sources) != 1:
            raise NotCapturedError(f"it takes {len(sources)} tensors")
        self._batch = str(sources[0].meta["val"].shape[0])
        if self._batch.isdecimal():
            raise NotCapturedError(f"the size of the batch is fixed to {self._batch} inside")

    def graph(self) -> Graph:
        """The nodes that the output needs."""
        output = None
        for node in self._program.nodes:
            if node.op == "placeholder":
                self._values[node.name] = self._given(node)
            elif node.op == "call_function":
                self._values[node.name] = self._read(node)
            elif node.op == "output":
                output = self._output(node)
            else:
                raise NotCapturedError(f"its graph holds {node.op} {node.target}")
        if output is None:
            raise NotCapturedError("its graph has no output")
        return Graph.reaching(self._nodes, next(iter(self._nodes)), output)

    def _given(self, node: fx.Node) -> Tensor | Node:
        if node.name in self._constants:
            return self._constants[node.name]
        return self._kept(Node(NodeKind.INPUT, "input", (), self._shape(node)))

    def _output(self, node: fx.Node) -> Node:
        outputs = [self._value_of(leaf) for leaf in tree_leaves(node.args)]
        if len(outputs) != 1 or not isinstance(outputs[0], Node) or outputs[0].shape is None:
            raise NotCapturedError("its output is not one fp32 tensor with the batch axis in front")
        return outputs[0]

    def _read(self, node: fx.Node) -> Any:
        target = node.target
        if not callable(target):
            raise NotCapturedError(f"its graph calls {target}")
        args, kwargs = tree_map(self._value_of, (node.args, dict(node.kwargs)))
        if not any(isinstance(leaf, Node) for leaf in tree_leaves((args, kwargs))):
            if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
                raise NotCapturedError(f"it draws random numbers ({_packet(target)})")
            return target(*args, **kwargs)
        skipped = self._skipped(node, args)
        if skipped is not None:
            return skipped
        changed = _changed(node)
        if changed is not None:
            self._memory.check(changed, node)
            target = _functional(target)
        made = self._kept(
            self._known(node, target, args, kwargs) or self._torch(node, target, args, kwargs)
        )
        if changed is not None:
            self._values[changed.name] = made
        return made

    def _skipped(self, node: fx.Node, args: tuple[Any, ...]) -> Tensor | Node | None:
        """What is left of a branch that was taken out: a zero without axes, and its sum."""
        packet = _packet(node.target)
        if packet is aten.new_zeros and args[1] == [] and isinstance(node.meta["val"], Tensor):
            return torch.zeros((), dtype=node.meta["val"].dtype)
        if packet not in (aten.add, aten.add_):
            return None
        first, second = args[:2]
        zero, other = (first, second) if isinstance(first, Tensor) else (second, first)
        if isinstance(zero, Tensor) and zero.dim() == 0 and not zero and isinstance(other, Node):
            return other
        return None

    def _value_of(self, leaf: Any) -> Any:
        return self._values[leaf.name] if isinstance(leaf, fx.Node) else leaf

    def _kept(self, node: Node) -> Node:
        """A node in the list, behind those that a rule has made for it to read."""
        if node not in self._nodes:
            for read in node.inputs:
                self._kept(read)
            self._nodes[node] = None
        return node

    def _shape(self, node: fx.Node) -> tuple[int, ...] | None:
        value = node.meta.get("val")
        if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.dim() < 2:
            return None
        sizes = tuple(value.shape[1:])
        is_batch = str(value.shape[0]) == self._batch and all(isinstance(n, int) for n in sizes)
        return sizes if is_batch and value.layout is torch.strided else None

    def _known(
        self, node: fx.Node, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Node | None:
        rule, shape = RULES.get(_packet(target)), self._shape(node)
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Node)]
        if rule is None or shape is None or any(value.shape is None for value in read):
            return None
        return rule(_name(node), shape, _bound(target, args, kwargs))

    def _torch(
        self, node: fx.Node, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Node:
        leaves = tree_leaves((args, kwargs))
        inputs = tuple(dict.fromkeys(leaf for leaf in leaves if isinstance(leaf, Node)))
        why = "this form has no kernel" if _packet(target) in RULES else "no kernel"
        name = str(_packet(target)) if hasattr(target, "overloadpacket") else target.__name__
        # A value may lie in memory otherwise than in the program: copies are left out.
        if _packet(target) is aten.as_strided:
            raise NotCapturedError("it reads memory by strides (aten.as_strided)")
        call = _deferred(_LOOSER.get(target, target), inputs, args, kwargs)
        return Node(NodeKind.TORCH, name, inputs, self._shape(node), call=call, why=why)


class _Memory:
    """Which values of a program may lie in the same memory, and who reads them until when."""

    def __init__(self, program: fx.Graph) -> None:
        self._places = {node: place for place, node in enumerate(program.nodes)}
        self._owners: dict[fx.Node, fx.Node] = {}
        self._family: defaultdict[fx.Node, list[fx.Node]] = defaultdict(list)
        for node in program.nodes:
            shares = _packet(node.target) in _VIEWS or _changed(node) is not None
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


def _constants(program: ExportedProgram) -> dict[str, Tensor]:
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


def _deferred(
    target: Callable[..., Any],
    inputs: tuple[Node, ...],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Callable[..., Any]:
    """The operator as a function of the inputs' values alone."""

    def call(*values: Any) -> Any:
        given = dict(zip(inputs, values, strict=True))

        def put(leaf: Any) -> Any:
            return given[leaf] if isinstance(leaf, Node) else leaf

        filled, named = tree_map(put, (args, dict(kwargs)))
        return target(*filled, **named)

    return call


def _packet(target: Any) -> Any:
    return getattr(target, "overloadpacket", target)


def _changed(node: fx.Node) -> fx.Node | None:
    """The node whose tensor an in-place operator writes into; None for a functional one."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return None
    written = [a.name for a in schema.arguments if a.alias_info and a.alias_info.is_write]
    if written != [schema.arguments[0].name] or not isinstance(node.args[0], fx.Node):
        raise NotCapturedError(f"{node.target} writes into its arguments")
    return node.args[0]


def _functional(target: Any) -> Any:
    """`relu` for `relu_`; the operator itself where there is none."""
    name = str(_packet(target)).rpartition(".")[2].removesuffix("_")
    return getattr(getattr(aten, name, None), target._overloadname, target)


def _bound(target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Argument name -> value, the defaults filled in."""
    bound = {a.name: a.default_value for a in target._schema.arguments if a.has_default_value()}
    names = (argument.name for argument in target._schema.arguments)
    return bound | dict(zip(names, args, strict=False)) | dict(kwargs)


def _name(node: fx.Node) -> str:
    """The module that called the operator, or the value's own name outside all modules."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return (stack[-1][0] if stack else "") or node.name
