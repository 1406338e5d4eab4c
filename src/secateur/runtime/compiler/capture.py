"""Capture: from an exported program to a graph, operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.utils._pytree import tree_leaves, tree_map

from secateur.runtime.compiler.exporting import NotCapturedError as NotCapturedError
from secateur.runtime.compiler.exporting import exported, said
from secateur.runtime.compiler.graph import Graph, Node, NodeKind, Read
from secateur.runtime.compiler.joints import joint
from secateur.runtime.compiler.programs import (
    Memory,
    batch_of,
    bound,
    changed_by,
    constants_of,
    count_of,
    dims_of,
    draws,
    functional,
    lead_of,
    name_of,
    packet_of,
)
from secateur.runtime.compiler.rules import RESHAPES
from secateur.runtime.compiler.sequences import ROW_RULES, RULES
from secateur.runtime.compiler.whole import serving_copy

aten = torch.ops.aten

# Views that need a memory layout, and what gives the same from any.
_LOOSER = {
    aten.view.default: aten.reshape.default,
    aten._unsafe_view.default: aten.reshape.default,
    aten.view_as.default: aten.reshape_as.default,
}


def read(program: ExportedProgram) -> Graph:
    """The graph of an exported program.

    Weights are copied: a later change of the model does not reach the graph.

    Raises:
        NotCapturedError: The size of the batch is fixed inside, it keeps what it computes, or a
            tensor is changed in place while something else still reads its memory.
    """
    try:
        return _Reader(program).graph()
    except NotCapturedError:
        raise
    except Exception as error:
        raise NotCapturedError(f"its graph cannot be read: {said(error)}") from error


def capture(model: nn.Module, *example: Tensor) -> Graph:
    """Write a network down as a graph: `exported`, then `read`.

    Raises:
        NotCapturedError: As these.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Dropout())
        >>> capture(net, torch.zeros(2, 4)).nodes
        (<input input 4>, <linear 0 2>, <relu 1 2>)
    """
    return read(exported(serving_copy(model), example))


class _Reader:
    """Reads an exported program, operator by operator."""

    def __init__(self, program: ExportedProgram) -> None:
        self._program = program.graph
        self._constants = constants_of(program)
        self._values: dict[str, Any] = {}
        self._nodes: dict[Node, None] = {}
        self._memory = Memory(program.graph)
        self._signature = program.graph_signature
        inputs = [n for n in program.graph.nodes if n.op == "placeholder"]
        self._given_nodes = [n for n in inputs if n.name not in self._constants]
        self._batch, self._rows = batch_of(self._given_nodes)

    def graph(self) -> Graph:
        """The nodes that the outputs need."""
        sources = [self._source(node) for node in self._given_nodes]
        outputs = None
        for node in self._program.nodes:
            if node.op == "placeholder" and node.name in self._constants:
                self._values[node.name] = self._constants[node.name]
            elif node.op == "call_function":
                self._values[node.name] = self._read(node)
            elif node.op == "output":
                outputs = self._outputs(node)
            elif node.op != "placeholder":
                raise NotCapturedError(f"its graph holds {node.op} {node.target}")
        if not outputs:
            raise NotCapturedError("its graph has no output")
        return Graph.reaching(self._nodes, sources, outputs)

    def _source(self, node: fx.Node) -> Node:
        made = Node(NodeKind.INPUT, node.name if len(self._given_nodes) > 1 else "input", (), None)
        made.shape, made.dims = self._shape(node), dims_of(node)
        self._values[node.name] = self._kept(made)
        return made

    def _outputs(self, node: fx.Node) -> list[Node]:
        kinds = {spec.kind for spec in self._signature.output_specs}
        if kinds != {OutputKind.USER_OUTPUT}:
            raise NotCapturedError("it keeps what it computes")
        return [self._output(self._value_of(leaf)) for leaf in tree_leaves(node.args)]

    def _output(self, value: Any) -> Node:
        if isinstance(value, Tensor):
            constant: Tensor = value
            made = Node(NodeKind.TORCH, "constant", (), None, call=constant.clone)
            made.why = "nothing to compute"
            return self._kept(made)
        if not isinstance(value, Node):
            raise NotCapturedError(f"its output holds a {type(value).__name__}")
        return value

    def _read(self, node: fx.Node) -> Any:
        target = node.target
        if not callable(target):
            raise NotCapturedError(f"its graph calls {target}")
        args, kwargs = tree_map(self._value_of, (node.args, dict(node.kwargs)))
        if not any(isinstance(leaf, Node) for leaf in tree_leaves((args, kwargs))):
            if draws(target, args, kwargs):
                raise NotCapturedError(f"it draws random numbers ({packet_of(target)})")
            return target(*args, **kwargs)
        skipped = self._skipped(node, args)
        if skipped is not None:
            return skipped
        changed = changed_by(node)
        if changed is not None:
            self._memory.check(changed, node)
            target = functional(target)
        made = self._known(node, target, args, kwargs) or self._torch(node, target, args, kwargs)
        made = self._kept(made)
        if changed is not None:
            self._values[changed.name] = made
        return made

    def _skipped(self, node: fx.Node, args: tuple[Any, ...]) -> Tensor | Node | None:
        """What is left of a branch that was taken out: a zero without axes, and its sum."""
        packet = packet_of(node.target)
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
        """Of one example; None of what is no batch of numbers."""
        dims = dims_of(node)
        if dims is None or len(dims) < 2 or str(node.meta["val"].shape[0]) != self._batch:
            return None
        sizes = tuple(size for size in dims[1:] if size is not None)
        return sizes if len(sizes) == len(dims) - 1 else None

    def _known(
        self, node: fx.Node, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Node | None:
        """By the rules of images and sequences, else by those of rows."""
        leaves = tree_leaves((args, kwargs))
        packet, shape, dims = packet_of(target), self._shape(node), dims_of(node)
        rule, by_row = RULES.get(packet), ROW_RULES.get(packet)
        made = None
        batches = all(leaf.shape is not None for leaf in leaves if isinstance(leaf, Node))
        if rule is not None and shape is not None and batches:
            made = rule(name_of(node), shape, bound(target, args, kwargs))
        if made is None and by_row is not None and dims is not None:
            made = by_row(name_of(node), bound(target, args, kwargs))
            if made is not None and made.is_layer:
                made.rows = max(1, count_of(node) // (dims[-1] or 1) // self._rows)
        if made is None and packet in RESHAPES and dims is not None and dims.count(None) < 2:
            made = _reshaped(packet, args, dims)
        if made is not None and made not in self._nodes:
            made.shape, made.dims = shape, dims
            made.lead = lead_of(node) if made.rows else ""
        return made

    def _torch(
        self, node: fx.Node, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Node:
        leaves = tree_leaves((args, kwargs))
        inputs = tuple(dict.fromkeys(leaf for leaf in leaves if isinstance(leaf, Node)))
        why = "this form has no kernel" if packet_of(target) in RULES else "no kernel"
        name = str(packet_of(target)) if hasattr(target, "overloadpacket") else target.__name__
        # A value may lie in memory otherwise than in the program: copies are left out.
        if packet_of(target) is aten.as_strided:
            raise NotCapturedError("it reads memory by strides (aten.as_strided)")
        call = _deferred(_LOOSER.get(target, target), inputs, args, kwargs)
        made = Node(NodeKind.TORCH, name, inputs, self._shape(node), call=call, why=why)
        made.dims = dims_of(node)
        if hasattr(target, "_schema"):
            places = {value: Read(place) for place, value in enumerate(inputs)}

            def put(leaf: Any) -> Any:
                return places[leaf] if isinstance(leaf, Node) else leaf

            given = tree_map(put, bound(target, args, kwargs))
            made.options = {"operator": packet_of(target), "given": given}
            joint(made)
            made.lead = lead_of(node) if made.rows else ""
        return made


def _reshaped(packet: Any, args: Sequence[Any], dims: Sequence[int | None]) -> Node | None:
    """Another shape of a value, all of whose axes are fixed but for one: it needs no sizes."""
    value = args[0]
    if not isinstance(value, Node) or value.dims is None:
        return None
    sizes = [-1 if size is None else size for size in dims]
    made = Node(NodeKind.TORCH, str(packet), (value,), None, call=lambda x: x.reshape(sizes))
    made.why = "this form has no kernel"
    made.options = {"operator": aten.reshape, "given": {"self": Read(0), "shape": sizes}}
    return made


def _deferred(
    target: Callable[..., Any],
    inputs: tuple[Node, ...],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Callable[..., Any]:
    """The operator as a function of the inputs' values alone.

    What is to be filled in is found once: a look through all arguments at each call would take
    longer than a small operator.
    """
    places = {node: place for place, node in enumerate(inputs)}
    direct = [(at, places[one]) for at, one in enumerate(args) if isinstance(one, Node)]
    deep = [(at, _filler(one, places)) for at, one in enumerate(args) if _holds_nodes(one)]
    named = [(name, _filler(one, places)) for name, one in kwargs.items()]

    def call(*values: Any) -> Any:
        given = list(args)
        for at, place in direct:
            given[at] = values[place]
        for at, fill in deep:
            given[at] = fill(values)
        return target(*given, **{name: fill(values) for name, fill in named})

    return call


def _holds_nodes(tree: Any) -> bool:
    return not isinstance(tree, Node) and any(isinstance(leaf, Node) for leaf in tree_leaves(tree))


def _filler(tree: Any, places: Mapping[Node, int]) -> Callable[[tuple[Any, ...]], Any]:
    """From the inputs' values to an argument."""
    if isinstance(tree, Node):
        return itemgetter(places[tree])
    if not _holds_nodes(tree):
        return lambda _: tree
    if isinstance(tree, list | tuple):
        parts = [_filler(one, places) for one in tree]
        return lambda values: [part(values) for part in parts]

    def fill(values: tuple[Any, ...]) -> Any:
        return tree_map(lambda one: values[places[one]] if isinstance(one, Node) else one, tree)

    return fill
