from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.masks import Masks


def bits(text: str) -> Tensor:
    """`"#."` is kept, pruned."""
    return torch.tensor([mark == "#" for mark in text])


def test_counts() -> None:
    masks = Masks({"a": bits("##.."), "b": bits("...#").reshape(2, 2)})
    assert (masks.zeros, masks.total) == (5, 8)
    assert list(masks) == ["a", "b"]
    assert repr(masks) == "Masks(2 parameters, 5 of 8 elements pruned)"
    assert (Masks({}).zeros, Masks({}).total, bool(Masks({}))) == (0, 0, False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.int64])
def test_only_bool_tensors_are_masks(dtype: torch.dtype) -> None:
    with pytest.raises(MaskError, match=f"a is a tensor of {dtype}"):
        Masks({"a": torch.ones(2, dtype=dtype)})


def test_masks_own_their_tensors() -> None:
    mask = bits("##")
    masks = Masks({"a": mask})
    mask[0] = False
    assert masks["a"].tolist() == [True, True]


def test_equality_is_of_names_and_bits() -> None:
    masks = Masks({"a": bits("#.")})
    assert masks == Masks({"a": bits("#.")}, floored=("a",))
    assert masks != Masks({"a": bits(".#")})
    assert masks != Masks({"b": bits("#.")})
    assert masks != Masks({"a": bits("#.").reshape(2, 1)})
    assert masks != {"a": bits("#.")}


def test_within() -> None:
    low, high = Masks({"a": bits("##.")}), Masks({"a": bits("#..")})
    assert high.is_within(low)
    assert not low.is_within(high)
    assert low.is_within(low)
    assert low.is_within(Masks({}))
    assert not Masks({}).is_within(low), "a parameter without a mask is kept whole"


def test_merging_keeps_what_both_keep() -> None:
    one = Masks({"a": bits("##."), "b": bits("#.")}, floored=("x", "y"))
    two = Masks({"a": bits(".##"), "c": bits(".#")}, floored=("y", "z"))
    both = one.merged(two)
    assert both == Masks({"a": bits(".#."), "b": bits("#."), "c": bits(".#")})
    assert both.floored == ("x", "y", "z")
    assert both.is_within(one)
    assert both.is_within(two)


@pytest.mark.parametrize("value", [1.0, -0.0, float("nan"), float("inf")])
def test_apply_writes_positive_zero_and_leaves_the_rest(value: float) -> None:
    layer = nn.Linear(3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[value, 2.0, value]]))
        layer.bias.fill_(7.0)
    Masks({"weight": bits("##.").reshape(1, 3)}).apply(layer)
    words = layer.weight.detach().view(torch.int32)
    assert words[0, 2] == 0
    assert torch.equal(words[0, :1], torch.tensor([value]).view(torch.int32))
    assert layer.bias.item() == 7.0


def test_apply_returns_the_masks() -> None:
    masks = Masks({"weight": bits("#.").reshape(1, 2)})
    assert masks.apply(nn.Linear(2, 1)) is masks


def test_apply_knows_a_tied_weight_by_any_of_its_names() -> None:
    model = nn.Sequential(nn.Linear(1, 2), nn.Linear(1, 2))
    model[1].weight = model[0].weight
    Masks({"1.weight": bits("#.").reshape(2, 1)}).apply(model)
    assert model[0].weight[1].item() == 0


def test_a_name_that_the_model_lacks_is_refused_before_anything_changes() -> None:
    layer = nn.Linear(2, 1)
    before = layer.weight.detach().clone()
    with pytest.raises(MaskError, match=r"gone is a mask without its parameter"):
        Masks({"weight": bits("..").reshape(1, 2), "gone": bits("#")}).apply(layer)
    assert torch.equal(layer.weight, before)


def test_a_wrong_shape_is_refused() -> None:
    with pytest.raises(MaskError, match=r"shape \(2, 1\), expected the parameter's shape \(1, 2\)"):
        Masks({"weight": bits("##").reshape(2, 1)}).apply(nn.Linear(2, 1))


def test_freezing_needs_a_model_and_its_optimizer() -> None:
    layer, masks = nn.Linear(2, 1), Masks({"weight": bits("#.").reshape(1, 2)})
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    with pytest.raises(MaskError, match=r"Call masks\.apply"):
        masks.freeze(optimizer)
    with pytest.raises(MaskError, match=r"Call masks\.apply"):
        copy.deepcopy(masks.apply(layer)).freeze(optimizer)
    with pytest.raises(MaskError, match="trains no masked parameter"):
        masks.freeze(optimizer, copy.deepcopy(layer))


def test_copies_and_pickles_hold_masks_and_never_the_model() -> None:
    masks = Masks({"weight": bits("#.").reshape(1, 2)}, floored=("fc",)).apply(nn.Linear(2, 1))
    for twin in (copy.deepcopy(masks), copy.copy(masks), pickle.loads(pickle.dumps(masks))):
        assert twin == masks
        assert twin.floored == ("fc",)
        assert twin._model is None


SHAPES = st.lists(st.integers(0, 5), max_size=4)


@settings(deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=8), SHAPES, max_size=4), st.integers(0, 2**31))
def test_text_round_trip(shapes: dict[str, list[int]], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    masks = Masks(
        {name: torch.rand(shape, generator=generator) < 0.5 for name, shape in shapes.items()},
        floored=tuple(shapes),
    )
    twin = Masks.from_text(masks.to_text())
    assert twin == masks
    assert twin.floored == masks.floored
    assert twin.to_text() == masks.to_text()
