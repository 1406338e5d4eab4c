"""Against autograd of the dense layers in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from secateur.runtime.kernels import kernels
from secateur.runtime.layers.axis import ConvAxis
from secateur.runtime.layers.conv_geometry import Window
from secateur.runtime.layers.masked_product import FrozenProduct
from secateur.runtime.layers.masked_weight import FrozenWeight

pytestmark = [
    pytest.mark.skipif(not kernels.available(), reason=kernels.why_not()),
    pytest.mark.usefixtures("each_isa"),
]
SETTINGS = settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def assert_like_dense(
    x: Tensor, weight: Tensor, mask: Tensor, bias: Tensor | None, frozen: FrozenWeight, dense
) -> None:
    """Output and all gradients, to 1e-4 of the largest number of each."""
    given = [x, weight, bias] if bias is not None else [x, weight]
    ours = [tensor.clone().requires_grad_() for tensor in given]
    theirs = [tensor.double().requires_grad_() for tensor in given]
    output = FrozenProduct.apply(*ours, *([None] if bias is None else []), frozen)
    wanted = dense(theirs[0], theirs[1] * mask, *theirs[2:])
    assert output.shape == wanted.shape
    outer = torch.randn_like(wanted)
    got = [output, *torch.autograd.grad(output, ours, outer.float())]
    want = [wanted, *torch.autograd.grad(wanted, theirs, outer)]
    for mine, exact in zip(got, want, strict=True):
        scale = exact.abs().max().item() if exact.numel() else 0.0
        torch.testing.assert_close(mine.double(), exact, rtol=1e-4, atol=1e-4 * scale + 1e-12)
    assert not got[2][~mask].any()


@st.composite
def masked(draw: st.DrawFn, size: list[int]) -> tuple[Tensor, Tensor, Tensor | None]:
    weight = torch.randn(size)
    mask = torch.rand(size) >= draw(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]))
    mask[draw(st.integers(0, size[0] - 1))] = False  # an empty row
    mask[:, draw(st.integers(0, size[1] - 1))] = False  # and an input that nobody reads
    bias = torch.randn(size[0]) if draw(st.booleans()) else None
    return weight, mask, bias


@SETTINGS
@given(st.data())
def test_convolutions(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 999)))
    two = [st.integers(1, 3), st.integers(1, 3)]
    kernel, stride, dilation = (draw(st.tuples(*two)) for _ in range(3))
    padding = draw(st.tuples(st.integers(0, 4), st.integers(0, 4)))
    batch, channels, outs = (draw(st.integers(1, largest)) for largest in (20, 5, 9))
    height, width = (
        draw(st.integers(max(1, reach * (nonzeros - 1) + 1 - 2 * side), 13))
        for reach, nonzeros, side in zip(dilation, kernel, padding, strict=True)
    )
    weight, mask, bias = draw(masked([outs, channels, *kernel]))
    layout = draw(st.sampled_from([torch.contiguous_format, torch.channels_last]))
    weight = weight.contiguous(memory_format=layout)
    window = Window(
        channels,
        *(
            ConvAxis(*numbers, side, side)  # type: ignore[call-arg]
            for *numbers, side in zip(
                (height, width), kernel, stride, dilation, padding, strict=True
            )
        ),
    )
    x = torch.randn(batch, channels, height, width).contiguous(memory_format=layout)
    if draw(st.booleans()):
        x = x.movedim(0, -1).contiguous().movedim(-1, 0)
    frozen = FrozenWeight(mask, weight, window)
    assert_like_dense(
        x,
        weight,
        mask,
        bias,
        frozen,
        lambda x, w, b=None: F.conv2d(x, w, b, stride, padding, dilation),
    )


@SETTINGS
@given(st.data())
def test_linear_layers(data: st.DataObject) -> None:
    draw = data.draw
    torch.manual_seed(draw(st.integers(0, 999)))
    batch, ins, outs = (draw(st.integers(1, largest)) for largest in (70, 60, 60))
    weight, mask, bias = draw(masked([outs, ins]))
    frozen = FrozenWeight(mask, weight, Window(ins))
    assert_like_dense(torch.randn(batch, ins), weight, mask, bias, frozen, F.linear)


def linear(mask: Tensor) -> FrozenWeight:
    return FrozenWeight(mask, torch.empty(mask.shape), Window(mask.shape[1]))


def test_an_empty_batch_has_gradients_of_zero() -> None:
    x, weight = torch.empty(0, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    output = FrozenProduct.apply(x, weight, None, linear(torch.ones(2, 3, dtype=torch.bool)))
    output.sum().backward()
    assert output.shape == (0, 2)
    assert x.grad is not None
    assert x.grad.shape == (0, 3)
    assert weight.grad is not None
    assert not weight.grad.any()


def test_a_nan_reaches_what_depends_on_it_and_nothing_else() -> None:
    mask = torch.tensor([[True, False, False], [False, True, True]])
    x, weight = torch.ones(5, 3), torch.ones(2, 3, requires_grad=True)
    x[1, 0] = torch.nan
    output = FrozenProduct.apply(x, weight, None, linear(mask))
    assert output.isnan().nonzero().tolist() == [[1, 0]]
    output.sum().backward()
    assert weight.grad is not None
    assert weight.grad.isnan().nonzero().tolist() == [[0, 0]]
    assert weight.grad[1].tolist() == [0, 5, 5]


def test_only_the_gradients_that_are_needed_are_made() -> None:
    mask = torch.ones(2, 3, dtype=torch.bool)
    x, weight = torch.ones(4, 3), torch.ones(2, 3, requires_grad=True)
    FrozenProduct.apply(x, weight, None, linear(mask)).sum().backward()
    assert x.grad is None
    x.requires_grad_()
    FrozenProduct.apply(x, weight.detach(), None, linear(mask)).sum().backward()
    assert x.grad is not None


def test_a_second_derivative_is_refused() -> None:
    mask = torch.ones(2, 3, dtype=torch.bool)
    x, weight = torch.ones(4, 3, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    output = FrozenProduct.apply(x, weight, None, linear(mask))
    (first,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
