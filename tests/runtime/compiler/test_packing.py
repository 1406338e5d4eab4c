"""Packing: what the kernels take, in the form that they take it, and why they take no more."""

import pytest
import torch
from one_node import CASES, add, affine, called, given, linear, relu
from torch.nn import functional

from secateur.runtime.compiler.graph import Node, NodeKind
from secateur.runtime.compiler.packing import (
    Packs,
    _selecting,
    _ungrouped,
    geometry,
    sizes,
    unsupported,
)
from secateur.runtime.kernels import library
from secateur.runtime.kernels.structs import Layout

native = pytest.mark.skipif(not library.available(), reason="no native kernels here")
PLAIN, LANES = Layout.PLAIN, Layout.LANES
NEITHER = "values that are neither vectors nor images"
NO_BATCH = "values that are no batches of numbers"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_kind_on_vectors_and_images_is_taken(case) -> None:
    assert unsupported(case.node) == ""
    assert unsupported(given(2, 3)) == ""


def test_what_runs_in_torch_says_why_itself() -> None:
    assert unsupported(called(torch.erf, given(3))) == "no kernel"


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4, 5)], ids=str)
def test_layers_take_vectors_and_images_and_the_rest_takes_whatever_it_is(shape) -> None:
    value = given(*shape)
    assert unsupported(relu(value)) == ""
    assert unsupported(add(value, value)) == ""
    assert unsupported(Node(NodeKind.LINEAR, "linear", (value,), (3,))) == NEITHER


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 4), None], ids=str)
def test_other_values_are_refused_on_either_side(shape) -> None:
    strange, vector = Node(NodeKind.TORCH, "strange", (), shape), given(3)
    into = Node(NodeKind.RELU, "relu", (vector,), shape)
    second = Node(NodeKind.ADD, "add", (vector, strange), (3,))
    assert [unsupported(node) for node in (relu(strange), into, second)] == [NO_BATCH] * 3


def test_rows_are_taken_if_they_have_a_fixed_size() -> None:
    rows = linear(given(3, 4), 5)
    assert unsupported(rows) == ""
    rows.shape = None
    assert unsupported(rows) == "rows of no fixed size"
    rows.dims = (None, None, 5)
    assert unsupported(rows) == ""


def test_a_reshape_costs_nothing_whatever_its_shape() -> None:
    assert unsupported(Node(NodeKind.RESHAPE, "view", (given(6),), (2, 3))) == ""


def test_groups_become_blocks_on_the_diagonal() -> None:
    weight = torch.arange(1.0, 9.0).view(4, 2, 1, 1)
    zero = [0.0, 0.0]
    assert _ungrouped(weight, 2)[:, :, 0, 0].tolist() == [
        [1.0, 2.0, *zero],
        [3.0, 4.0, *zero],
        [*zero, 5.0, 6.0],
        [*zero, 7.0, 8.0],
    ]


@pytest.mark.parametrize(("inputs", "outputs", "groups"), [(6, 9, 3), (4, 8, 4), (5, 5, 1)])
def test_a_convolution_without_groups_is_the_same(inputs, outputs, groups, close) -> None:
    weight = torch.randn(outputs, inputs // groups, 3, 2)
    whole, x = _ungrouped(weight, groups), torch.randn(2, inputs, 5, 6)
    assert whole.shape == (outputs, inputs, 3, 2)
    assert whole.count_nonzero() == weight.count_nonzero()
    close(
        functional.conv2d(x, whole),
        functional.conv2d(x.double(), weight.double(), None, groups=groups),
    )


def test_a_shortcut_is_a_convolution_that_copies() -> None:
    node = CASES["select"].node
    weight = _selecting(node)[:, :, 0, 0]
    assert weight.tolist() == [[0, 0], [1, 0], [0, 1], [0, 0], [0, 0]]
    x = torch.randn(3, 2, 5, 7)
    made = functional.conv2d(x, _selecting(node), stride=node.options["stride"])
    assert torch.equal(made, CASES["select"].function(x))


@native
def test_zeros_between_groups_are_not_stored() -> None:
    node = CASES["conv in groups, relu"].node
    info = Packs().of(node, PLAIN, PLAIN, 1).info
    assert info.nonzeros == node.matrix.count_nonzero()
    assert (info.shape.in_channels, info.shape.out_channels) == (4, 6)


@native
@pytest.mark.parametrize("name", ["conv", "linear", "select"])
def test_a_pack_has_the_sizes_of_its_node(name) -> None:
    node = CASES[name].node
    info = Packs().of(node, PLAIN, LANES, 8).info
    after = (info.shape.out_channels, info.shape.out_height, info.shape.out_width)
    before = (info.shape.in_channels, info.shape.in_height, info.shape.in_width)
    assert (before, after) == (sizes(node.inputs[0]), sizes(node))
    assert (info.in_layout, info.out_layout) == (PLAIN, LANES)


@native
def test_each_form_is_packed_once() -> None:
    packs, node = Packs(), linear(given(4), 3)
    made = packs.of(node, PLAIN, PLAIN, 1)
    assert packs.of(node, PLAIN, PLAIN, 1) is made
    others = [
        packs.of(node, PLAIN, LANES, 1),
        packs.of(node, LANES, PLAIN, 1),
        packs.of(node, PLAIN, PLAIN, 8),
        packs.of(linear(given(4), 3), PLAIN, PLAIN, 1),
    ]
    assert len({id(pack) for pack in (made, *others)}) == 5


def test_scales_lie_in_front_of_shifts() -> None:
    node = affine(given(2, 3, 3))
    node.weight, node.bias = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    assert Packs().numbers(node).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_vector_is_an_image_of_one_pixel() -> None:
    assert sizes(given(7)) == (7, 1, 1)
    assert sizes(given(3, 4, 5)) == (3, 4, 5)


def test_the_window_of_a_pool_is_kept() -> None:
    made = geometry(CASES["max pool"].node)
    assert (made.in_channels, made.in_height, made.in_width) == (3, 7, 6)
    assert (made.out_channels, made.out_height, made.out_width) == (3, 4, 4)
    assert (made.kernel_height, made.kernel_width) == (3, 2)
    assert (made.stride_height, made.stride_width) == (2, 1)
    assert (made.pad_top, made.pad_left) == (1, 0)
    assert (made.dilation_height, made.dilation_width) == (1, 2)


def test_what_has_no_window_has_one_of_a_pixel() -> None:
    image = given(3, 4, 5)
    made = geometry(add(image, image))
    assert {made.kernel_height, made.kernel_width, made.stride_height, made.stride_width} == {1}
    assert (made.in_features, made.out_features) == (60, 60)
