"""What torch sees: schemas, shapes, gradients, one node in a graph."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from secateur.runtime.layers import operators
from secateur.runtime.layers.weights import compress


def linear_arguments(relu: bool, bias: bool) -> tuple[object, ...]:
    weight = torch.randn(5, 8) * (torch.rand(5, 8) > 0.5)
    values, positions = compress(weight)
    x = torch.randn(3, 8, requires_grad=True)
    offsets = torch.randn(5, requires_grad=True) if bias else None
    return x, values.requires_grad_(), positions, offsets, [5, 8], relu


def conv_arguments(relu: bool, bias: bool) -> tuple[object, ...]:
    weight = torch.randn(4, 3, 3, 2) * (torch.rand(4, 3, 3, 2) > 0.5)
    values, positions = compress(weight)
    x = torch.randn(2, 3, 7, 6, requires_grad=True)
    offsets = torch.randn(4, requires_grad=True) if bias else None
    options = [2, 1], [1, 0, 2, 1], [1, 2]
    return x, values.requires_grad_(), positions, offsets, [4, 3, 3, 2], *options, relu


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_torchs_own_check_of_operators(relu: bool, bias: bool) -> None:
    torch.manual_seed(0)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for operator, arguments in (
        (torch.ops.secateur.sparse_linear, linear_arguments(relu, bias)),
        (torch.ops.secateur.sparse_conv2d, conv_arguments(relu, bias)),
    ):
        torch.library.opcheck(operator, arguments, test_utils=checks)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["linear", "conv2d"])
def test_gradients_are_the_dense_layers(kind: str, bias: bool, relu: bool) -> None:
    torch.manual_seed(1)
    arguments = (linear_arguments if kind == "linear" else conv_arguments)(relu, bias)
    operator = getattr(operators, f"sparse_{kind}_op")
    learned = [a for a in arguments if isinstance(a, Tensor) and a.requires_grad]
    output = operator(*arguments)
    towards = torch.randn_like(output)
    got = torch.autograd.grad(output, learned, towards)
    x, values, positions, offsets, size, *options = arguments
    weight = operators.restore(values, positions, size)
    if kind == "linear":
        dense = torch.nn.functional.linear(x, weight, offsets)
    else:
        stride, (top, bottom, left, right), dilation, _ = options
        padded = torch.nn.functional.pad(x, (left, right, top, bottom))
        dense = torch.nn.functional.conv2d(
            padded, weight, offsets, tuple(stride), 0, tuple(dilation)
        )
    want = torch.autograd.grad(dense.relu() if relu else dense, learned, towards)
    torch.testing.assert_close(got, want)
