from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.errors import MaskError, ModelError
from secateur.pruning.criterion import Statistics
from secateur.pruning.filters import filters
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.select import cut

WEIGHTS = Part("magnitude", "weight", "all", "global")
FILTERS = Part("magnitude", "filter", "conv", "layer")
SCALES = Part("scale", "filter", "conv", "global")
EXAMPLE = torch.zeros(2, 1, 4, 4)


def net() -> nn.Sequential:
    """Two 1x1 convolutions of known filters, a norm behind the first, and a linear layer."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 2, 1),
        nn.Flatten(),
        nn.Linear(32, 2),
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([4.0, -1.0, 3.0, 2.0]).reshape(4, 1, 1, 1))
        # L1 norms 4 and 3, but L2 norms 2 and 3: the L1 norm keeps the first.
        model[3].weight.copy_(torch.tensor([[1.0, -1, 1, -1], [3, 0, 0, 0]]).reshape(2, 4, 1, 1))
        model[5].weight.fill_(0.5)
    return model


def by_filter(model: nn.Module, part: Part, level: float, **more: object) -> Masks:
    return cut(
        model,
        (part,),
        (level,),
        groups_of=lambda _: filters(model, EXAMPLE),
        **more,  # type: ignore[arg-type]
    )


def picture(mask: torch.Tensor) -> str:
    """One mark a channel: `#` kept whole, `.` pruned whole, `?` in parts."""
    rows = mask.flatten(1) if mask.ndim > 1 else mask.unsqueeze(1)
    return "".join("#" if row.all() else "?" if row.any() else "." for row in rows)


def test_filters_go_by_their_l1_norm_with_bias_and_norm() -> None:
    masks = by_filter(net(), FILTERS, 0.5)
    assert {name: picture(mask) for name, mask in masks.items()} == {
        "0.weight": "#.#.",
        "0.bias": "#.#.",
        "1.weight": "#.#.",
        "1.bias": "#.#.",
        "3.weight": "#.",
        "3.bias": "#.",
    }


def test_ranked_together_large_filters_weigh_more() -> None:
    together = Part("magnitude", "filter", "conv", "global")
    # 12 weights, a quarter is 3: the filters of 1 and 2 weigh 1 each; a third of 3, before the
    # tie with the second layer's 3, in which the first layer goes first.
    masks = by_filter(net(), together, 0.25)
    assert picture(masks["0.weight"]) == "#..."
    assert picture(masks["3.weight"]) == "##"


def test_slimming_goes_by_the_scales_alone() -> None:
    scales = {
        "0.weight": torch.tensor([0.1, -9.0, 0.2, 5.0]),
        "3.weight": torch.tensor([0.3, -0.01]),
    }
    # In order: 0.01 (4 weights), 0.1, 0.2 (1 each): half of 12 is 6.
    masks = by_filter(net(), SCALES, 0.5, statistics=Statistics(scales=scales))
    assert picture(masks["0.weight"]) == ".#.#"
    assert picture(masks["3.weight"]) == "#."


def test_slimming_without_scales_is_refused() -> None:
    with pytest.raises(MaskError, match="expected 4 scales from sparsity training"):
        by_filter(net(), SCALES, 0.5)


def test_weights_of_all_layers_are_ranked_together() -> None:
    masks = cut(net(), (WEIGHTS,), (0.25,))
    # 76 weights, 19 go: the 3 zeros of the second convolution, then 16 of the 64 halves.
    assert masks.zeros == 19
    assert masks["0.weight"].all()
    assert masks["3.weight"].flatten().tolist() == [True] * 5 + [False] * 3
    assert masks["5.weight"].flatten().tolist() == [False] * 16 + [True] * 48


def test_biases_are_never_in_the_masks_of_single_weights() -> None:
    assert set(cut(net(), (WEIGHTS,), (0.5,))) == {"0.weight", "3.weight", "5.weight"}


def test_combined_takes_a_level_for_each_part() -> None:
    parts = (FILTERS, Part("magnitude", "weight", "non-conv", "global"))
    model = net()
    masks = cut(model, parts, (0.5, 0.75), groups_of=lambda _: filters(model, EXAMPLE))
    assert picture(masks["0.weight"]) == "#.#."
    assert int((~masks["5.weight"]).sum()) == 48
    same = cut(model, parts, (0.5,), groups_of=lambda _: filters(model, EXAMPLE))
    assert int((~same["5.weight"]).sum()) == 32


@pytest.mark.parametrize("level", [(0.5, 0.5), (), (0.1, 0.2, 0.3)])
def test_a_level_that_does_not_fit_the_parts_is_refused(level: tuple[float, ...]) -> None:
    with pytest.raises(MaskError, match=f"the level is {len(level)} sparsities"):
        cut(net(), (WEIGHTS,), level)


def test_channels_need_a_way_to_be_found() -> None:
    with pytest.raises(ModelError, match="Pass example_inputs="):
        cut(net(), (FILTERS,), (0.5,))


def test_a_weight_that_is_not_finite_is_named() -> None:
    model = net()
    with torch.no_grad():
        model[3].weight[0, 1] = torch.nan
        model[3].weight[1, 2] = torch.inf
    with pytest.raises(MaskError, match=r"3\.weight is a weight with 2 of 8 elements NaN"):
        cut(model, (WEIGHTS,), (0.5,))


def test_previous_masks_are_kept_within() -> None:
    model = net()
    first = by_filter(model, FILTERS, 0.25)
    assert picture(first["0.weight"]) == "#.##"
    assert picture(first["3.weight"]) == "##", "a quarter of 2 is 0.5, equally near 0 and 1"
    with torch.no_grad():
        first.apply(model)
        model[0].weight[1] = 9.0  # even if it had grown
    second = by_filter(model, FILTERS, 0.5, previous=first)
    assert picture(second["0.weight"]) == "#.#."
    assert second.is_within(first)


def test_previous_masks_of_other_parameters_stay() -> None:
    model = net()
    linear = Masks({"5.weight": torch.zeros(2, 32, dtype=torch.bool)}, floored=("5.weight",))
    masks = by_filter(model, FILTERS, 0.5, previous=linear)
    assert not masks["5.weight"].any()
    assert masks.floored == ("5.weight",)


def test_a_later_part_counts_what_an_earlier_one_cut() -> None:
    model = net()
    conv = Part("magnitude", "weight", "conv", "global")
    masks = cut(model, (conv, WEIGHTS), (0.5, 0.25))
    # 6 of 12 in the convolutions, and 13 more among the rest, for 19 of 76.
    assert masks.zeros == 19


def test_the_floor_is_reported_by_layer() -> None:
    masks = by_filter(net(), FILTERS, 0.9)
    assert picture(masks["0.weight"]) == "#..."
    assert picture(masks["3.weight"]) == "#."
    assert masks.floored == ("0", "3")


def test_a_channel_of_several_layers_weighs_and_scores_as_their_sum() -> None:
    model = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 1], [2, 2]]).reshape(2, 2, 1, 1))
        model[1].weight.copy_(torch.tensor([[5.0, 5], [1, 1]]).reshape(2, 2, 1, 1))
    both = torch.tensor([0, 1])
    groups = Groups(
        ("0",),
        torch.zeros(2, dtype=torch.int64),
        (
            Slot("0.weight", 0, both, "write"),
            Slot("1.weight", 0, both, "write"),
            Slot("1.weight", 1, both, "read"),
        ),
    )
    part = Part("magnitude", "channel", "conv", "global")
    masks = cut(model, (part,), (0.5,), groups_of=lambda _: groups)
    # 2 + 10 against 4 + 2: the second goes, in both; what reads it is left to compaction.
    assert picture(masks["0.weight"]) == "#."
    assert picture(masks["1.weight"]) == "#."


def test_indices_without_a_group_are_never_cut() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([0.0, 1, 2, 3]).reshape(4, 1, 1, 1))
    slot = Slot("0.weight", 0, torch.tensor([-1, 0, 1, 2]), "write")
    groups = Groups(("0",), torch.zeros(3, dtype=torch.int64), (slot,))
    part = Part("magnitude", "channel", "conv", "global")
    masks = cut(model, (part,), (0.5,), groups_of=lambda _: groups)
    assert picture(masks["0.weight"]) == "#..#", "half of 4, though only 3 may go"


def shared_groups() -> tuple[nn.Module, Groups]:
    """A second convolution that shares only the two weakest of the first one's channels."""
    model = nn.Sequential(nn.Conv2d(1, 4, 1, bias=False), nn.Conv2d(1, 2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([8.0, 9, 1, 2]).reshape(4, 1, 1, 1))
        model[1].weight.copy_(torch.tensor([3.0, 1]).reshape(2, 1, 1, 1))
    first = Slot("0.weight", 0, torch.tensor([0, 1, 2, 3]), "write")
    second = Slot("1.weight", 0, torch.tensor([2, 3]), "write")
    return model, Groups(("0",), torch.zeros(4, dtype=torch.int64), (first, second))


def test_a_layer_that_shares_only_weak_channels_is_not_emptied() -> None:
    model, groups = shared_groups()
    part = Part("magnitude", "channel", "conv", "layer")
    masks = cut(model, (part,), (0.7,), groups_of=lambda _: groups)
    # 4 of 6 weights: both shared channels, 2 each; the better, 1 + 3 against 2 + 1, comes back.
    assert picture(masks["0.weight"]) == "###."
    assert picture(masks["1.weight"]) == "#."
    assert masks.floored == ("1",)


def test_a_layer_that_was_empty_before_is_not_revived() -> None:
    model, groups = shared_groups()
    part = Part("magnitude", "channel", "conv", "layer")
    before = Masks(
        {
            "0.weight": torch.tensor([True, True, False, False]).reshape(4, 1, 1, 1),
            "1.weight": torch.zeros(2, 1, 1, 1, dtype=torch.bool),
        }
    )
    masks = cut(model, (part,), (0.1,), groups_of=lambda _: groups, previous=before)
    assert masks == before
    assert masks.floored == ()


def test_a_channel_counts_as_pruned_only_where_all_of_it_was() -> None:
    model, groups = shared_groups()
    part = Part("magnitude", "channel", "conv", "layer")
    half = Masks({"1.weight": torch.tensor([True, False]).reshape(2, 1, 1, 1)})
    masks = cut(model, (part,), (0.0,), groups_of=lambda _: groups, previous=half)
    assert picture(masks["0.weight"]) == "####"
    assert masks["1.weight"].flatten().tolist() == [True, False]


def test_layers_keep_multiples_where_asked() -> None:
    masks = by_filter(net(), FILTERS, 0.5, round_to=3)
    assert {name: picture(masks[name]) for name in ("0.weight", "3.weight")} == {
        "0.weight": "#.##",
        "3.weight": "##",
    }


def test_a_head_of_several_channels_counts_them_all() -> None:
    model = nn.Sequential(nn.Linear(1, 8, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(8.0)[:, None] + 1)
    pairs = torch.arange(4).repeat_interleave(2)
    layer = torch.zeros(4, dtype=torch.int64)
    groups = Groups(("0",), layer, (Slot("0.weight", 0, pairs, "write"),))
    part = Part("magnitude", "channel", "all", "global")
    for round_to, expected in ((4, "########"), (2, "..######"), (3, "..######")):
        masks = cut(model, (part,), (0.25,), groups_of=lambda _: groups, round_to=round_to)
        assert picture(masks["0.weight"]) == expected, round_to
