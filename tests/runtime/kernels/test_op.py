"""Ops without weights are torch's, on every instruction set of this machine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from one_op import apply, lay_out, read_out

from secateur.runtime.kernels import kernels, memory
from secateur.runtime.kernels.structs import (
    FUNCTION_SHIFT,
    Flag,
    Function,
    Layout,
    OpKind,
    shape,
)

pytestmark = pytest.mark.usefixtures("any_isa")
FEW = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
RELU = st.sampled_from([Flag.NONE, Flag.FUSE_RELU])


def images(draw: st.DrawFn) -> torch.Tensor:
    size = [draw(st.integers(1, largest)) for largest in (18, 6, 21, 21)]
    x = torch.randn(size, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    x.view(-1)[:: draw(st.integers(3, 50))] = torch.nan if draw(st.booleans()) else 0.0
    return x


def assert_same(got: np.ndarray, want: torch.Tensor, flags: Flag) -> None:
    want = want.relu() if Flag.FUSE_RELU in flags else want
    torch.testing.assert_close(torch.from_numpy(got), want, equal_nan=True)


@FEW
@given(st.data())
def test_pooling_is_torchs(data: st.DataObject) -> None:
    draw = data.draw
    x, flags, layout = images(draw), draw(RELU), draw(st.sampled_from(list(Layout)))
    kernel = draw(st.tuples(*[st.integers(1, 4)] * 2))
    kernel = tuple(min(k, s) for k, s in zip(kernel, x.shape[2:], strict=True))
    stride = draw(st.tuples(*[st.integers(1, 3)] * 2))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    ceil, count = draw(st.booleans()), draw(st.booleans())
    top = F.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil)
    mean = F.avg_pool2d(x, kernel, stride, padding, ceil_mode=ceil, count_include_pad=count)
    geometry = shape(
        tuple(x.shape[1:]), tuple(top.shape[1:]), kernel=kernel, stride=stride, padding=padding
    )
    places = {"in_layout": layout, "out_layout": layout}
    for isa in kernels.isas():
        kernels.use_isa(isa)
        op = kernels.op(OpKind.MAX_POOL, geometry, flags=flags, **places)
        assert_same(apply(op, x.numpy(), threads=2), top, flags)
        counting = flags | Flag.COUNT_PADDING if count else flags
        op = kernels.op(OpKind.AVG_POOL, geometry, flags=counting, **places)
        assert_same(apply(op, x.numpy()), mean, flags)


@FEW
@given(st.data())
def test_element_wise_ops_are_torchs(data: st.DataObject) -> None:
    draw = data.draw
    x, flags = images(draw), draw(RELU)
    before, after = draw(st.tuples(*[st.sampled_from(list(Layout))] * 2))
    y, channels = torch.randn(x.shape), x.shape[1]
    affine = torch.randn(2, channels)
    size = tuple(x.shape[1:])
    geometry = shape(size, size)
    pooled = shape(size, (channels, 1, 1))
    places = {"flags": flags, "in_layout": before, "out_layout": before}
    for isa in kernels.isas():
        kernels.use_isa(isa)
        copy = kernels.op(OpKind.COPY, geometry, flags=flags, in_layout=before, out_layout=after)
        assert_same(apply(copy, x.numpy()), x, flags)
        relu = kernels.op(OpKind.RELU, geometry, in_layout=before, out_layout=before)
        assert_same(apply(relu, x.numpy()), x.relu(), flags)
        add = kernels.op(OpKind.ADD, geometry, other=2, **places)
        assert_same(apply(add, x.numpy(), y.numpy(), threads=2), x + y, flags)
        scale, shift = (part[:, None, None] for part in affine)
        norm = kernels.op(OpKind.AFFINE, geometry, pack=affine.numpy(), **places)
        assert_same(apply(norm, x.numpy()), x * scale + shift, flags)
        mean = kernels.op(OpKind.GLOBAL_AVG_POOL, pooled, **places)
        assert_same(apply(mean, x.numpy()), x.mean((2, 3), keepdim=True), flags)


FUNCTIONS = {
    Function.CLAMP: lambda x: x.clamp(-0.5, 1.25),
    Function.LEAKY: lambda x: F.leaky_relu(x, -0.5),
    Function.ELU: lambda x: F.elu(x, -0.5),
    Function.SIGMOID: torch.sigmoid,
    Function.HARD_SIGMOID: F.hardsigmoid,
    Function.SILU: F.silu,
    Function.HARD_SWISH: F.hardswish,
    Function.TANH: torch.tanh,
    Function.GELU: F.gelu,
    Function.GELU_TANH: lambda x: F.gelu(x, approximate="tanh"),
}


@FEW
@given(st.data())
def test_functions_of_each_number_are_torchs(data: st.DataObject) -> None:
    draw = data.draw
    x = images(draw) * 10.0 ** draw(st.integers(-3, 2))
    function, layout = draw(st.sampled_from(list(Function))), draw(st.sampled_from(list(Layout)))
    want = FUNCTIONS[function](x.double()).float()
    geometry = shape(tuple(x.shape[1:]), tuple(x.shape[1:]))
    numbers = np.float32([-0.5, 1.25])
    for isa in kernels.isas():
        kernels.use_isa(isa)
        op = kernels.op(
            OpKind.ACTIVATE,
            geometry,
            flags=Flag(int(function) << FUNCTION_SHIFT),
            in_layout=layout,
            out_layout=layout,
            pack=numbers,
        )
        got = torch.from_numpy(apply(op, x.numpy(), threads=2))
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6, equal_nan=True)


@FEW
@given(st.data())
def test_products_and_places_are_torchs(data: st.DataObject) -> None:
    draw = data.draw
    x, layout = images(draw), draw(st.sampled_from(list(Layout)))
    batch, channels, height, width = x.shape
    y, factors = torch.randn(x.shape), torch.randn(batch, channels, 1, 1)
    places = {"in_layout": layout, "out_layout": layout}
    same = shape((channels, height, width), (channels, height, width))
    steps, crop = (2, 3), (draw(st.integers(0, 1)), draw(st.integers(0, 2)))
    many = torch.randn(batch, 6 * channels, height, width)
    up = many.view(batch, channels, 2, 3, height, width).permute(0, 1, 4, 2, 5, 3)
    up = up.reshape(batch, channels, 2 * height, 3 * width)[:, :, crop[0] :, crop[1] :]
    moved = shape(tuple(many.shape[1:]), tuple(up.shape[1:]), stride=steps, padding=crop)
    for isa in kernels.isas():
        kernels.use_isa(isa)
        mul = kernels.op(OpKind.MUL, same, other=2, **places)
        assert_same(apply(mul, x.numpy(), y.numpy(), threads=2), x * y, Flag.NONE)
        scale = kernels.op(OpKind.SCALE, same, other=2, **places)
        got = apply(scale, x.numpy(), factors.numpy())
        assert_same(got, x * factors, Flag.NONE)
        shuffle = kernels.op(OpKind.SHUFFLE, moved, **places)
        assert_same(apply(shuffle, many.numpy(), threads=2), up, Flag.NONE)
        wider = shape((channels, height, width), (channels + 3, height, width), padding=(2, 0))
        place = kernels.op(OpKind.PLACE, wider, **places)
        assert_same(apply(place, x.numpy())[:, 2 : 2 + channels], x, Flag.NONE)


def test_in_place_where_it_is_allowed() -> None:
    x = np.float32([-1.0, 2.0, -3.0])
    same = shape((3, 1, 1), (3, 1, 1))
    ops = kernels.array_of(
        [
            kernels.op(OpKind.ADD, same, input=0, other=0, output=0),
            kernels.op(OpKind.RELU, same, input=0, output=0),
        ]
    )
    kernels.run(
        kernels.task(ops, kernels.buffers_of([x]), memory.aligned(64, np.uint8), batch=1, threads=1)  # type: ignore[list-item]
    )
    assert x.tolist() == [0.0, 4.0, 0.0]


def test_layouts_round_trip() -> None:
    x = np.arange(9 * 6, dtype=np.float32).reshape(9, 6)
    for layout in Layout:
        assert (read_out(lay_out(x, layout), layout, 9, (6,)) == x).all()
