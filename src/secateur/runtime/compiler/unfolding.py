"""Unfolding: convolutions over volumes, and transposed ones, as convolutions over images.

Zeros of a weight stay zeros and cost nothing, so that an unfolded weight has as many products to
make as the one that it stands for.

A volume `[C, D, H, W]` is an image of C x D channels: an output plane reads, of each input plane,
the slice of the kernel that lies on it.

A transposed convolution of stride s writes its outputs of one rest modulo s with the weights of one
rest: s x s convolutions of stride 1 over the input, side by side as channels, whose outputs are
shuffled. With Y = y + padding = s q + r and k d = s m + r for a weight at k (d: the dilation),
output y reads input q - m (Dumoulin and Visin, 2016, section 4; Shi et al., 2016).
"""

from __future__ import annotations

from math import prod

from torch import Tensor

from secateur.runtime.compiler.graph import Node


def exchanged(weight: Tensor, groups: int) -> Tensor:
    """A weight whose first two axes change places, each group by itself; twice is no change.

    From `[in, out / groups, ...]`, as torch and ONNX have transposed convolutions, to
    `[out, in / groups, ...]`, as all other layers are, and back.

    Args:
        weight: `[groups x a, b, ...]`.
        groups: How many there are.

    Returns:
        `[groups x b, a, ...]`.
    """
    first, second, *kernel = weight.shape
    by_group = weight.view(groups, first // groups, second, *kernel).transpose(1, 2)
    return by_group.reshape(groups * second, first // groups, *kernel)


def in_depth(weight: Tensor, node: Node) -> Tensor:
    """The weight of a CONV_3D for images: `[out x depth, in x depth, kernel height, width]`.

    Args:
        weight: `[out, in, kernel depth, height, width]`, without groups.
        node: Whose weight it is.
    """
    (value,) = node.inputs
    before, after = value.sizes[1], node.sizes[1]
    stride, padding, dilation = (node.options[n][0] for n in ("stride", "padding", "dilation"))
    outputs, inputs, depth, *kernel = weight.shape
    whole = weight.new_zeros(outputs, after, inputs, before, *kernel)
    for plane in range(after):
        for place in range(depth):
            read = plane * stride - padding + place * dilation
            if 0 <= read < before:
                whole[:, plane, :, read] = weight[:, :, place]
    return whole.view(outputs * after, inputs * before, *kernel)


def phases(weight: Tensor, node: Node) -> Tensor:
    """The weight of a CONV_TRANSPOSE for images: `[out x stride x stride, in, reach, reach]`.

    Args:
        weight: `[out, in, kernel height, width]`, without groups.
        node: Whose weight it is.
    """
    (sh, sw), (dh, dw) = node.options["stride"], node.options["dilation"]
    outputs, inputs, *kernel = weight.shape
    reach_h, reach_w = _reach(node)
    whole = weight.new_zeros(outputs, sh, sw, inputs, reach_h + 1, reach_w + 1)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            (m, r), (n, s) = divmod(i * dh, sh), divmod(j * dw, sw)
            whole[:, r, s, :, reach_h - m, reach_w - n] = weight[:, :, i, j]
    return whole.view(outputs * sh * sw, inputs, reach_h + 1, reach_w + 1)


def padding_of_phases(node: Node) -> tuple[int, int, int, int]:
    """What the convolutions of a CONV_TRANSPOSE take around its input: above, below, left, right.

    Less than nothing below and right where they need not reach the input's end.

    Args:
        node: The node.
    """
    (value,) = node.inputs
    axes = zip(_reach(node), _skipped(node), places(node), value.sizes[1:], strict=True)
    (top, below), (left, right) = (
        (reach - skipped, count - size + skipped) for reach, skipped, count, size in axes
    )
    return top, below, left, right


def places(node: Node) -> list[int]:
    """Rows and columns that the convolutions of a CONV_TRANSPOSE write.

    Args:
        node: The node.
    """
    options = node.options
    axes = zip(options["padding"], node.sizes[1:], options["stride"], _skipped(node), strict=True)
    return [-(-(padding + size) // stride) - skipped for padding, size, stride, skipped in axes]


def cropped(node: Node) -> list[int]:
    """Rows and columns in front of what a CONV_TRANSPOSE gives, once its channels are shuffled.

    Args:
        node: The node.
    """
    axes = zip(node.options["padding"], node.options["stride"], _skipped(node), strict=True)
    return [padding - stride * skipped for padding, stride, skipped in axes]


def _skipped(node: Node) -> list[int]:
    """Rows and columns of each convolution that the padding takes away in front."""
    axes = zip(node.options["padding"], node.options["stride"], _reach(node), strict=True)
    return [min(padding // stride, reach) for padding, stride, reach in axes]


def _reach(node: Node) -> list[int]:
    """How many rows and columns before its own a convolution of a CONV_TRANSPOSE reads."""
    options = node.options
    axes = zip(node.matrix.shape[2:], options["dilation"], options["stride"], strict=True)
    return [(size - 1) * dilation // stride for size, dilation, stride in axes]


def unfolded_size(node: Node) -> int:
    """Elements of the unfolded weight of a CONV_3D or CONV_TRANSPOSE.

    Args:
        node: The node.
    """
    (value,) = node.inputs
    outputs, inputs = node.sizes[0], value.sizes[0]
    if len(node.sizes) == 4:
        return prod((outputs, node.sizes[1], inputs, value.sizes[1], *node.matrix.shape[3:]))
    reach = [size + 1 for size in _reach(node)]
    return prod((outputs, *node.options["stride"], inputs, *reach))


def unsupported_fold(node: Node) -> str:
    """Why a CONV_3D or CONV_TRANSPOSE cannot be unfolded; empty if it can.

    Args:
        node: The node.
    """
    axes = len(node.matrix.shape) - 1
    fits = all(value.shape is not None and len(value.shape) == axes for value in node.inputs)
    return "" if fits and len(node.sizes) == axes else "values of other axes"


def shuffled(node: Node) -> bool:
    """Whether what the convolutions of a CONV_TRANSPOSE write is to be shuffled, or cropped.

    Args:
        node: The node.
    """
    return prod(node.options["stride"]) > 1 or any(cropped(node))
