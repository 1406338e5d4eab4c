"""Packing: the weights of a graph for the native kernels, each form made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.unfolding import (
    in_depth,
    padding_of_phases,
    phases,
    unfolded_size,
    unsupported_fold,
)
from secateur.runtime.kernels import packs, structs
from secateur.runtime.kernels.structs import Layout


@dataclass
class Packs:
    """The packed weights of one engine, shared by its plans."""

    _made: dict[tuple[Any, ...], packs.Pack] = field(default_factory=dict)

    def of(self, node: Node, before: Layout, after: Layout, batch: int) -> packs.Pack:
        """The weight of a convolution, linear layer or SELECT, for one pair of layouts."""
        key = (node, before, after, batch)
        if key not in self._made:
            self._made[key] = _pack(node, before, after, batch)
        return self._made[key]

    def numbers(self, node: Node) -> NDArray[np.float32] | None:
        """What an op without a pack takes: of an AFFINE the scales, then the shifts."""
        if node.kind is NodeKind.AFFINE:
            return torch.cat(node.scale_and_shift).numpy()
        given = node.options.get("numbers", ())
        return np.array(given, np.float32) if given else None


def weight_and_bias(node: Node) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """What a convolution, linear layer or SELECT multiplies by, as one without groups."""
    weight = _selecting(node) if node.kind is NodeKind.SELECT else node.weight
    if weight is None:
        raise LookupError(f"{node.name} has no weight")
    whole = _ungrouped(weight, node.options.get("groups", 1))
    repeated = 1
    if node.kind is NodeKind.CONV_3D:
        whole, repeated = in_depth(whole, node), node.sizes[1]
    if node.kind is NodeKind.CONV_TRANSPOSE:
        whole, repeated = phases(whole, node), prod(node.options["stride"])
    bias = None if node.bias is None else node.bias.repeat_interleave(repeated).numpy()
    return whole.numpy(), bias


def _pack(node: Node, before: Layout, after: Layout, batch: int) -> packs.Pack:
    weight, bias = weight_and_bias(node)
    if node.kind is NodeKind.LINEAR:
        return packs.pack_linear(weight, bias, batch=batch, in_layout=before, out_layout=after)
    *_, height, width = sizes(node.inputs[0])
    if node.kind is NodeKind.CONV_3D:
        *_, height, width = node.inputs[0].sizes
    if node.kind is NodeKind.CONV_TRANSPOSE:
        stride, dilation, padding = (1, 1), (1, 1), padding_of_phases(node)
    else:
        stride, dilation, padding = (
            node.options.get(name, (usual, usual))[-2:]
            for name, usual in (("stride", 1), ("dilation", 1), ("padding", 0))
        )
    return packs.pack_conv2d(
        weight,
        bias,
        height=height,
        width=width,
        stride=stride,
        padding=padding,
        dilation=dilation,
        batch=batch,
        in_layout=before,
        out_layout=after,
    )


def _selecting(node: Node) -> Tensor:
    """A 1x1 convolution that copies every channel: one weight a channel is not zero."""
    (value,) = node.inputs
    inputs, outputs = sizes(value)[0], sizes(node)[0]
    weight = torch.zeros(outputs, inputs, 1, 1)
    channels = torch.arange(inputs)
    weight[node.options["before"] + channels, channels] = 1.0
    return weight


def _ungrouped(weight: Tensor, groups: int) -> Tensor:
    """The same convolution without groups: zeros, which cost nothing, between other groups."""
    if groups == 1:
        return weight
    outputs, inputs, *kernel = weight.shape
    whole = weight.new_zeros(groups, outputs // groups, groups, inputs, *kernel)
    each = torch.arange(groups)
    whole[each, :, each] = weight.view(groups, outputs // groups, inputs, *kernel)
    return whole.view(outputs, groups * inputs, *kernel)


def sizes(node: Node) -> tuple[int, int, int]:
    """Channels, height and width of a value; of a vector the last two are 1."""
    channels, height, *rest = (*node.sizes, 1, 1)
    return channels, height, prod(rest)


def geometry(node: Node, *, by_row: bool = False) -> structs.Shape:
    """The shape of a node that is neither convolution nor linear layer.

    Args:
        node: The node.
        by_row: What it does to a row alone.
    """
    if by_row:
        row = (node.width or 0, 1, 1)
        return structs.shape(row, row)
    options = node.options
    return structs.shape(
        sizes(node.inputs[options.get("of", 0)]),
        sizes(node),
        kernel=options.get("kernel", (1, 1)),
        stride=options.get("stride", (1, 1)),
        padding=options.get("padding", (0, 0)),
        dilation=options.get("dilation", (1, 1)),
    )


_ANY_SHAPE = (
    *(NodeKind.RELU, NodeKind.ADD, NodeKind.AFFINE, NodeKind.ACTIVATION),
    *(NodeKind.MULTIPLY, NodeKind.SCALE, NodeKind.CONCAT),
)
_MOST = 1 << 26
"""Floats of a weight that is unfolded: more would take longer to pack than to run."""


def unsupported(node: Node) -> str:
    """Why the kernels cannot run a node, in words; empty if they can."""
    if node.kind is NodeKind.TORCH:
        return node.why
    if node.kind in (NodeKind.INPUT, NodeKind.RESHAPE):
        return ""
    if node.rows:
        return "" if all((node.width, *(n.width for n in node.inputs))) else "rows of no fixed size"
    shapes = [node.shape, *(value.shape for value in node.inputs)]
    if any(not shape or 0 in shape for shape in shapes):
        return "values that are no batches of numbers"
    if node.kind in (NodeKind.CONV_3D, NodeKind.CONV_TRANSPOSE):
        return unsupported_fold(node) or (
            "its weight unfolded is too large" if unfolded_size(node) > _MOST else ""
        )
    if node.kind not in _ANY_SHAPE and any(len(shape or ()) not in (1, 3) for shape in shapes):
        return "values that are neither vectors nor images"
    return ""
