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
from secateur.runtime.kernels.structs import Flag, Layout, OpKind, shape

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
