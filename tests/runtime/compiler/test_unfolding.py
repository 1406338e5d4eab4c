"""Unfolding: volumes and transposed convolutions on the kernels are torch's."""

from __future__ import annotations

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from one_node import given
from torch.nn import functional

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.packing import Packs, unsupported
from secateur.runtime.compiler.rules import RULES
from secateur.runtime.compiler.segment import Segment
from secateur.runtime.kernels import library
from secateur.runtime.kernels.structs import Layout

pytestmark = [
    pytest.mark.skipif(not library.available(), reason="no native kernels here"),
    pytest.mark.usefixtures("each_isa"),
]
FEW = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
aten = torch.ops.aten


def sparse(draw: st.DrawFn, *shape: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    kept = torch.rand(shape, generator=random) >= draw(st.sampled_from([0.0, 0.5, 0.9]))
    return torch.randn(shape, generator=random) * kept


def tuple_of(draw: st.DrawFn, low: int, high: int, axes: int) -> tuple[int, ...]:
    return draw(st.tuples(*[st.integers(low, high)] * axes))


def node_of(operator: object, value: Node, shape: tuple[int, ...], rest: dict) -> Node:
    made = RULES[operator]("layer", shape, {"input": value, **rest})
    assert made is not None
    assert unsupported(made) == ""
    return made


def check(node: Node, x: torch.Tensor, expected: torch.Tensor, layout: Layout, close) -> None:
    made = Segment([node], [node], layout=layout, batch=len(x), threads=1, packs=Packs())
    if float(expected.abs().max()) > 1e-3:
        close(made.run([x])[0], expected)


@FEW
@hypothesis.given(data=st.data())
def test_a_convolution_over_volumes_is_torch_s(data: st.DataObject, close) -> None:
    draw = data.draw
    groups = draw(st.integers(1, 2))
    sizes = tuple_of(draw, 3, 6, 3)
    weight = sparse(draw, 2 * groups, draw(st.integers(1, 2)), *tuple_of(draw, 1, 3, 3))
    rest = {
        "stride": tuple_of(draw, 1, 2, 3),
        "padding": tuple_of(draw, 0, 2, 3),
        "dilation": tuple_of(draw, 1, 2, 3),
        "groups": groups,
    }
    hypothesis.assume(
        all(
            size + 2 * padding >= dilation * (kernel - 1) + 1
            for size, padding, dilation, kernel in zip(
                sizes, rest["padding"], rest["dilation"], weight.shape[2:], strict=True
            )
        )
    )
    bias = torch.randn(2 * groups) if draw(st.booleans()) else None
    x = torch.randn(draw(st.integers(1, 9)), groups * weight.shape[1], *sizes)
    wide = (weight.double(), None if bias is None else bias.double())
    expected = functional.conv3d(x.double(), *wide, **rest)
    given_by_name = {"weight": weight, "bias": bias, **rest}
    value, shape = given(*x.shape[1:]), tuple(expected.shape[1:])
    node = node_of(aten.conv3d, value, shape, given_by_name)
    assert node.kind is NodeKind.CONV_3D
    check(node, x, expected, draw(st.sampled_from(list(Layout))), close)


@FEW
@hypothesis.given(data=st.data())
def test_a_transposed_convolution_is_torch_s(data: st.DataObject, close) -> None:
    draw = data.draw
    groups = draw(st.integers(1, 2))
    stride, dilation = tuple_of(draw, 1, 3, 2), tuple_of(draw, 1, 2, 2)
    weight = sparse(draw, groups * 2, draw(st.integers(1, 3)), *tuple_of(draw, 1, 4, 2))
    most = [max(one, other) - 1 for one, other in zip(stride, dilation, strict=True)]
    rest = {
        "stride": stride,
        "padding": tuple_of(draw, 0, 3, 2),
        "output_padding": tuple(draw(st.integers(0, one)) for one in most),
        "dilation": dilation,
        "groups": groups,
    }
    sizes = tuple_of(draw, 1, 7, 2)
    outputs = [
        (size - 1) * rest["stride"][at]
        - 2 * rest["padding"][at]
        + dilation[at] * (weight.shape[2 + at] - 1)
        + rest["output_padding"][at]
        + 1
        for at, size in enumerate(sizes)
    ]
    hypothesis.assume(min(outputs) > 0)
    bias = torch.randn(groups * weight.shape[1]) if draw(st.booleans()) else None
    x = torch.randn(draw(st.integers(1, 9)), groups * 2, *sizes)
    wide = (weight.double(), None if bias is None else bias.double())
    expected = functional.conv_transpose2d(x.double(), *wide, **rest)
    given_by_name = {"weight": weight, "bias": bias, **rest}
    value, shape = given(*x.shape[1:]), tuple(expected.shape[1:])
    node = node_of(aten.conv_transpose2d, value, shape, given_by_name)
    check(node, x, expected, draw(st.sampled_from(list(Layout))), close)


def test_a_weight_that_would_grow_too_large_is_left_dense() -> None:
    value = given(256, 64, 4, 4)
    options = {"stride": (1, 1, 1), "padding": (1, 1, 1), "dilation": (1, 1, 1), "groups": 1}
    weight = torch.zeros(256, 256, 3, 3, 3)
    node = Node(NodeKind.CONV_3D, "deep", (value,), (256, 64, 4, 4), weight, options=options)
    assert unsupported(node) == "its weight unfolded is too large"
