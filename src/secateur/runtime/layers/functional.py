"""The sparse linear layer and convolution as functions on tensors, without autograd.

A weight comes as its values and their positions, which are the same on every machine; the packs
for this one are made behind the scenes (`packing`).

Without the native kernels a linear layer is torch's CSR product, features-major
(`F.linear` with a CSR weight goes the slow way), and a convolution is the dense one.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from secateur.errors import KernelError
from secateur.runtime.kernels import kernels
from secateur.runtime.kernels.packs import Pack
from secateur.runtime.layers import packing
from secateur.runtime.layers.weights import restore


def sparse_linear(
    x: Tensor,
    values: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    size: list[int],
    relu: bool,
) -> Tensor:
    """A linear layer with a sparse weight, without autograd.

    Args:
        x: `[..., in]`, fp32 on the CPU.
        values: `[n]`, the weight's non-zero numbers.
        positions: `[n]`, where they are in the flattened weight.
        bias: `[out]`.
        size: `[out, in]`.
        relu: Clamp the output at zero.

    Raises:
        KernelError: Another dtype, device or shape.

    Example:
        >>> sparse_linear(torch.ones(2, 3), torch.tensor([5.0]), torch.tensor([4]), None, [2, 3],
        ...               False)
        tensor([[0., 5.],
                [0., 5.]])
    """
    _check(
        "sparse_linear",
        x,
        values,
        bias,
        f"[..., {size[1]}]",
        x.dim() >= 1 and x.shape[-1] == size[1],
    )
    if not kernels.available():
        return _csr_linear(x, values, positions, bias, size, relu)
    batch = x.numel() // max(size[1], 1)
    output = x.new_empty((*x.shape[:-1], size[0]))
    if batch:
        pack = packing.linear_pack(values, positions, bias, size, batch)
        _run(pack, x.detach().contiguous(), output, batch, relu)
    return output


def sparse_conv2d(
    x: Tensor,
    values: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    relu: bool,
) -> Tensor:
    """A convolution with a sparse weight, one group, without autograd.

    Args:
        x: `[batch, in, height, width]`, fp32 on the CPU.
        values: `[n]`, the weight's non-zero numbers.
        positions: `[n]`, where they are in the flattened weight.
        bias: `[out]`.
        size: `[out, in, kernel height, kernel width]`.
        stride: (h, w).
        padding: Zeros on top, below, left, right.
        dilation: (h, w).
        relu: Clamp the output at zero.

    Raises:
        KernelError: Another dtype, device or shape, or an image smaller than the kernel.

    Example:
        >>> weight = torch.ones(1), torch.tensor([4])  # the middle of a 3 x 3 kernel
        >>> sparse_conv2d(torch.ones(1, 1, 3, 3), *weight, None, [1, 1, 3, 3], [2, 2],
        ...               [1, 1, 1, 1], [1, 1], False)
        tensor([[[[1., 1.],
                  [1., 1.]]]])
    """
    _check(
        "sparse_conv2d",
        x,
        values,
        bias,
        f"[batch, {size[1]}, height, width]",
        x.dim() == 4 and x.shape[1] == size[1],
    )
    batch, _, height, width = x.shape
    shape = conv2d_shape(x, size, stride, padding, dilation)
    if min(height, width, *shape[2:]) < 1:
        raise KernelError(
            "sparse_conv2d",
            "the input",
            given=f"{height} x {width}",
            expected="at least as large as the kernel, the padding counted",
            remedy="Give larger images or more padding.",
        )
    if not kernels.available():
        return _dense_conv2d(x, values, positions, bias, size, stride, padding, dilation, relu)
    output = x.new_empty(shape)
    if batch:
        pack = packing.conv2d_pack(
            values,
            positions,
            bias,
            size,
            height=height,
            width=width,
            stride=stride,
            padding=padding,
            dilation=dilation,
            batch=batch,
        )
        _run(pack, x.detach().contiguous(), output, batch, relu)
    return output


def conv2d_shape(
    x: Tensor,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
) -> list[Any]:
    """The output's shape; its sizes may be symbols of a trace."""
    top, bottom, left, right = padding
    rows = (x.shape[2] + top + bottom - dilation[0] * (size[2] - 1) - 1) // stride[0] + 1
    columns = (x.shape[3] + left + right - dilation[1] * (size[3] - 1) - 1) // stride[1] + 1
    return [x.shape[0], size[0], rows, columns]


def _check(
    operation: str,
    x: Tensor,
    values: Tensor,
    bias: Tensor | None,
    expected: str,
    fits: bool,
) -> None:
    for name, tensor in (("the input", x), ("the weight", values), ("the bias", bias)):
        if tensor is not None and (tensor.dtype != torch.float32 or tensor.device.type != "cpu"):
            raise KernelError(
                operation,
                name,
                given=f"{tensor.dtype} on {tensor.device}",
                expected="torch.float32 on cpu",
                remedy="Convert it, or run the dense model (`to_dense`).",
            )
    if not fits:
        raise KernelError(
            operation,
            "the input",
            given=f"of shape {list(x.shape)}",
            expected=expected,
            remedy="Give an input that fits the layer.",
        )


def _run(pack: Pack, x: Tensor, output: Tensor, batch: int, relu: bool) -> None:
    threads = torch.get_num_threads()
    ops = kernels.array_of([kernels.op_of(pack, relu=relu)])
    scratch = packing.scratch(kernels.scratch_bytes(ops, threads))
    buffers = kernels.buffers_of([(x.data_ptr(), x.numel()), (output.data_ptr(), output.numel())])
    kernels.run(kernels.task(ops, buffers, scratch.numpy(), batch=batch, threads=threads))


def _csr_linear(
    x: Tensor,
    values: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    size: list[int],
    relu: bool,
) -> Tensor:
    weight = restore(values.detach(), positions, size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        flat = (weight.to_sparse_csr() @ x.detach().reshape(-1, size[1]).T.contiguous()).T
    flat = flat if bias is None else flat + bias.detach()
    flat = flat.relu() if relu else flat
    return flat.reshape(*x.shape[:-1], size[0]).contiguous()


def _dense_conv2d(
    x: Tensor,
    values: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    relu: bool,
) -> Tensor:
    top, bottom, left, right = padding
    weight = restore(values.detach(), positions, size)
    padded = F.pad(x.detach(), (left, right, top, bottom))
    output = F.conv2d(
        padded, weight, None if bias is None else bias.detach(), tuple(stride), 0, tuple(dilation)
    )
    return (output.relu() if relu else output).contiguous()
