"""The torch operators `secateur::sparse_linear` and `secateur::sparse_conv2d`.

`torch.compile` and `torch.export` see one operator each, with shapes and gradients.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from secateur.runtime.layers.functional import conv2d_shape, sparse_conv2d, sparse_linear
from secateur.runtime.layers.weights import restore

sparse_linear_op = torch.library.custom_op(
    "secateur::sparse_linear", mutates_args=(), device_types="cpu"
)(sparse_linear)
sparse_conv2d_op = torch.library.custom_op(
    "secateur::sparse_conv2d", mutates_args=(), device_types="cpu"
)(sparse_conv2d)


@sparse_linear_op.register_fake
def _linear_like(
    x: Tensor,
    _values: Tensor,
    _positions: Tensor,
    _bias: Tensor | None,
    size: list[int],
    _relu: bool,
) -> Tensor:
    return x.new_empty((*x.shape[:-1], size[0]))


@sparse_conv2d_op.register_fake
def _conv2d_like(
    x: Tensor,
    _values: Tensor,
    _positions: Tensor,
    _bias: Tensor | None,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    _relu: bool,
) -> Tensor:
    return x.new_empty(conv2d_shape(x, size, stride, padding, dilation))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, values, positions, bias, *options = inputs
    ctx.save_for_backward(x, values, positions, bias, output)
    ctx.options = options


def _linear_gradients(context: Any, gradient: Tensor) -> tuple[Any, ...]:
    """By the dense layer's formulas; a weight has a gradient only where it is not zero."""
    x, values, positions, bias, output = context.saved_tensors
    size, relu = context.options
    gradient = gradient * (output > 0) if relu else gradient
    rows = gradient.reshape(-1, size[0])
    of_input = gradient @ restore(values, positions, size)
    of_weight = rows.T @ x.reshape(-1, size[1])
    of_values = of_weight.reshape(-1)[positions.long()]
    return of_input, of_values, None, None if bias is None else rows.sum(0), None, None


def _conv2d_gradients(context: Any, gradient: Tensor) -> tuple[Any, ...]:
    x, values, positions, bias, output = context.saved_tensors
    size, stride, (top, bottom, left, right), dilation, relu = context.options
    gradient = gradient * (output > 0) if relu else gradient
    of_padded, of_weight, of_bias = torch.ops.aten.convolution_backward(
        gradient,
        F.pad(x, (left, right, top, bottom)),
        restore(values, positions, size),
        [size[0]],
        stride,
        [0, 0],
        dilation,
        False,
        [0, 0],
        1,
        [True, True, bias is not None],
    )
    height, width = x.shape[2:]
    of_input = of_padded[:, :, top : top + height, left : left + width]
    of_values = of_weight.reshape(-1)[positions.long()]
    return of_input, of_values, None, of_bias, None, None, None, None, None


sparse_linear_op.register_autograd(_linear_gradients, setup_context=_keep)
sparse_conv2d_op.register_autograd(_conv2d_gradients, setup_context=_keep)
