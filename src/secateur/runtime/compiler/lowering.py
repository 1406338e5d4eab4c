"""Lowering: from nodes to the ops of the native kernels, and the memory between them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.packing import Packs, geometry, sizes
from secateur.runtime.compiler.unfolding import cropped, places, shuffled
from secateur.runtime.kernels import kernels, structs
from secateur.runtime.kernels.structs import Flag, Layout

_IN_PLACE = (NodeKind.RELU, NodeKind.ADD, NodeKind.AFFINE, NodeKind.ACTIVATION, NodeKind.MULTIPLY)
_OPS = {
    NodeKind.RELU: structs.OpKind.RELU,
    NodeKind.ADD: structs.OpKind.ADD,
    NodeKind.AFFINE: structs.OpKind.AFFINE,
    NodeKind.MAX_POOL: structs.OpKind.MAX_POOL,
    NodeKind.AVG_POOL: structs.OpKind.AVG_POOL,
    NodeKind.ACTIVATION: structs.OpKind.ACTIVATE,
    NodeKind.MULTIPLY: structs.OpKind.MUL,
    NodeKind.SCALE: structs.OpKind.SCALE,
    NodeKind.SHUFFLE: structs.OpKind.SHUFFLE,
}


def root(node: Node, *, by_row: bool = False) -> Node:
    """The node whose memory a value lies in: a reshaped value has none of its own.

    Args:
        node: The value.
        by_row: Only where the rows stay the same ones.
    """
    while node.kind is NodeKind.RESHAPE:
        (before,) = node.inputs
        if by_row and before.width != node.width:
            break
        node = before
    return node


def features(node: Node, *, by_row: bool = False) -> int:
    """Numbers in one example of a value, or in one row of it."""
    return (node.width or 0) if by_row else prod(node.sizes)


class Lowering:
    """From nodes to ops that name their buffers, the outside ones first, then the slots.

    Args:
        nodes: In order.
        reads: The nodes outside whose values they take.
        writes: Those of the nodes whose values are needed outside.
        layout: How values lie in between; outside all are `PLAIN`.
        batch: The size of the batch to tune for.
        packs: Where packed weights are shared between plans.
        by_row: Whether an example is one row of a value, whatever the axes before the last.

    Attributes:
        ops: The ops, in order.
        slots: The memory between them: for each place, which holds one value after another, the
            floats for one image. All values in it lie in `layout`.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        reads: Sequence[Node],
        writes: Sequence[Node],
        layout: Layout,
        batch: int,
        packs: Packs,
        *,
        by_row: bool = False,
    ) -> None:
        self._by_row = by_row
        self.ops: list[structs.Op] = []
        self.slots: list[int] = []
        self._layout = layout
        self._batch = batch
        self._packs = packs
        self._outside = {node: place for place, node in enumerate((*reads, *writes))}
        self._writes = set(writes)
        self._buffers: dict[tuple[Node, Layout], int] = {
            (node, Layout.PLAIN): place for node, place in self._outside.items() if node in reads
        }
        self._idle: list[int] = []
        self._last = {self._home(value): node for node in nodes for value in node.inputs}
        inside = {self._home(value) for node in nodes for value in node.inputs}
        for node in nodes:
            self._lower(node, is_read=node in inside)

    def _home(self, value: Node) -> Node:
        """Where a value lies: as it is if it comes from outside, else where it was made."""
        return value if value in self._outside else root(value, by_row=self._by_row)

    def _features(self, node: Node) -> int:
        return features(node, by_row=self._by_row)

    def _lower(self, node: Node, *, is_read: bool) -> None:
        values = [self._home(value) for value in node.inputs]
        in_layout, out_layout = self._layouts(node, values, is_read=is_read)
        inputs = [self._buffer(value, in_layout) for value in values]
        output = self._output(node, out_layout, values, inputs)
        if node.is_layer or node.kind is NodeKind.SELECT:
            self._layer(node, in_layout, out_layout, inputs[0], output)
        elif node.kind is NodeKind.CONCAT:
            self._concat(node, in_layout, inputs, output)
        else:
            self.ops.append(self._glue(node, in_layout, inputs, output))
        if node in self._writes and out_layout is not Layout.PLAIN:
            self._copy(node, out_layout, Layout.PLAIN, output, self._outside[node])
        for value in dict.fromkeys(values):
            if self._last[value] is node:
                self._release(value, keep=output)

    def _layer(self, node: Node, before: Layout, after: Layout, source: int, output: int) -> None:
        pack = self._packs.of(node, before, after, self._batch)
        if node.kind is not NodeKind.CONV_TRANSPOSE or not shuffled(node):
            self.ops.append(kernels.op_of(pack, input=source, output=output, relu=node.relu))
            return
        between = self._slot(pack.info.shape.out_features)
        self.ops.append(kernels.op_of(pack, input=source, output=between, relu=node.relu))
        (height, width), (top, left) = node.options["stride"], cropped(node)
        phases = (pack.info.shape.out_channels, *places(node))
        moved = structs.shape(phases, sizes(node), stride=(height, width), padding=(top, left))
        self.ops.append(_moving(structs.OpKind.SHUFFLE, moved, after, between, output))
        self._idle.append(between)

    def _concat(self, node: Node, layout: Layout, inputs: Sequence[int], output: int) -> None:
        first = 0
        for value, place in zip(node.inputs, inputs, strict=True):
            part = structs.shape(sizes(value), sizes(node), padding=(first, 0))
            self.ops.append(_moving(structs.OpKind.PLACE, part, layout, place, output))
            first += value.sizes[0]

    def _layouts(
        self, node: Node, values: Sequence[Node], *, is_read: bool
    ) -> tuple[Layout, Layout]:
        """Linear and convolution change the layout on the way; the others cannot."""
        inside = self._layout
        if not (node.is_layer or node.kind is NodeKind.SELECT):
            return inside, inside
        known = (values[0], inside) in self._buffers
        in_layout = inside if known else Layout.PLAIN
        return in_layout, Layout.PLAIN if node in self._writes and not is_read else inside

    def _buffer(self, value: Node, layout: Layout) -> int:
        """Where a value lies in a layout; copied into it if it lies in the other alone."""
        if (value, layout) not in self._buffers:
            other = Layout.PLAIN if layout is Layout.LANES else Layout.LANES
            slot = self._slot(self._features(value))
            self._copy(value, other, layout, self._buffers[value, other], slot)
            self._buffers[value, layout] = slot
        return self._buffers[value, layout]

    def _output(
        self, node: Node, layout: Layout, values: Sequence[Node], inputs: Sequence[int]
    ) -> int:
        if node in self._writes and layout is Layout.PLAIN:
            place = self._outside[node]
        else:
            place = self._in_place(node, values, inputs)
            if place < 0:
                place = self._slot(self._features(node))
        self._buffers[node, layout] = place
        return place

    def _in_place(self, node: Node, values: Sequence[Node], inputs: Sequence[int]) -> int:
        """The slot of an input that nobody reads any more; -1 if there is none."""
        if node.kind in _IN_PLACE:
            for value, place in zip(values, inputs, strict=True):
                if place >= len(self._outside) and self._last[value] is node:
                    return place
        return -1

    def _slot(self, floats: int) -> int:
        """An idle slot that is large enough, or the largest, made larger; else a new one."""
        first = len(self._outside)
        if not self._idle:
            self.slots.append(floats)
            return first + len(self.slots) - 1

        def size(place: int) -> int:
            return self.slots[place - first]

        fitting = [place for place in self._idle if size(place) >= floats]
        chosen = min(fitting, key=size) if fitting else max(self._idle, key=size)
        self.slots[chosen - first] = max(size(chosen), floats)
        self._idle.remove(chosen)
        return chosen

    def _release(self, value: Node, *, keep: int) -> None:
        for layout in Layout:
            place = self._buffers.get((value, layout), -1)
            if place >= len(self._outside) and place != keep:
                self._idle.append(place)

    def _copy(self, value: Node, before: Layout, after: Layout, source: int, target: int) -> None:
        flat = structs.shape(*[(self._features(value), 1, 1)] * 2)
        self.ops.append(
            kernels.op(
                structs.OpKind.COPY,
                flat,
                input=source,
                output=target,
                in_layout=before,
                out_layout=after,
            )
        )

    def _glue(self, node: Node, layout: Layout, inputs: Sequence[int], output: int) -> structs.Op:
        kind = _OPS[node.kind]
        if node.kind is NodeKind.SCALE:
            inputs = [inputs[node.options["of"]], inputs[1 - node.options["of"]]]
        flags = Flag.FUSE_RELU if node.relu else Flag.NONE
        flags |= Flag(int(node.options.get("function", 0)) << structs.FUNCTION_SHIFT)
        if node.options.get("count_padding"):
            flags |= Flag.COUNT_PADDING
        return kernels.op(
            kind,
            geometry(node, by_row=self._by_row),
            input=inputs[0],
            other=inputs[1] if len(inputs) > 1 else -1,
            output=output,
            in_layout=layout,
            out_layout=layout,
            flags=flags,
            pack=self._packs.numbers(node),
        )


def _moving(
    kind: structs.OpKind, geometry: structs.Shape, layout: Layout, source: int, target: int
) -> structs.Op:
    return kernels.op(
        kind, geometry, input=source, output=target, in_layout=layout, out_layout=layout
    )
