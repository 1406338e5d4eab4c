from __future__ import annotations

import copy
import math
import warnings
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

import secateur
from secateur.errors import MaskError, SecateurError, SpecError, UnknownNameError
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part
from secateur.pruning.weights import prunable_weights
from secateur.verbs.left_out import CutWarning

EXAMPLE = torch.zeros(2, 3, 8, 8)
NAMES = ("0", "3", "5", "8")


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 6, 3),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(24, 10),
    )


class Residual(nn.Module):
    """Two convolutions whose channels hang together, between two others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 6, 3, padding=1)
        self.outer = nn.Conv2d(6, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = (x + self.outer(self.inner(x).relu())).relu()
        return self.fc(self.last(x).relu().mean((2, 3)))


def nearest(share: float, count: int) -> int:
    """The whole number nearest to a share of a count; of two equally near, the smaller."""
    target = Fraction(repr(share)) * count
    low = math.floor(target)
    return low + (low + 1 - target < target - low)


def sizes(model: nn.Module) -> dict[str, int]:
    return {one.module: one.value.numel() for one in prunable_weights(model).values()}


def zeros(model: nn.Module) -> dict[str, int]:
    return {one.module: int((one.value == 0).sum()) for one in prunable_weights(model).values()}


def unchanged(name: str, before: nn.Module, after: nn.Module) -> bool:
    """Whether every parameter of a layer has the same bits."""
    pairs = zip(
        before.get_submodule(name).parameters(),
        after.get_submodule(name).parameters(),
        strict=True,
    )
    return all(torch.equal(one, other) for one, other in pairs)


SHARES = st.integers(0, 99).map(lambda number: number / 100)
CHOICES = st.lists(st.sampled_from(NAMES), unique=True, max_size=3)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(CHOICES, CHOICES, SHARES, st.sampled_from(["global", "layer"]))
def test_the_weights_that_are_chosen_lose_exactly_the_share(
    exclude: list[str], only: list[str], sparsity: float, ranking: Any
) -> None:
    chosen = [name for name in NAMES if name not in exclude and (name in only or not only)]
    model, before = net(), net()
    cut = {"sparsity": sparsity, "ranking": ranking, "exclude": exclude, "only": only}
    if not chosen:
        with pytest.raises(MaskError, match="leaves nothing"):
            secateur.prune(model, "magnitude", **cut)
        return
    masks = secateur.prune(model, "magnitude", **cut)
    counts = sizes(before)
    assert set(masks) == {f"{name}.weight" for name in chosen}
    assert masks.total == sum(counts[name] for name in chosen)
    if ranking == "layer":
        expected = {name: nearest(sparsity, counts[name]) for name in chosen}
        assert zeros(model) == {name: expected.get(name, 0) for name in NAMES}
    else:
        assert masks.zeros == nearest(sparsity, masks.total)
    for name in set(NAMES) - set(chosen):
        assert unchanged(name, before, model)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.dictionaries(st.sampled_from(["0", "3", "Linear", "[35]"]), SHARES, min_size=1))
def test_each_pattern_loses_its_own_share(table: dict[str, float]) -> None:
    model, before, counts = net(), net(), sizes(net())
    left, groups = set(NAMES), {}
    for pattern in table:
        named = {"Linear": {"8"}, "[35]": {"3", "5"}}.get(pattern, {pattern})
        groups[pattern] = named & left
        left -= named
    if not all(groups.values()):
        with pytest.raises(MaskError, match="before it"):
            secateur.prune(model, sparsity=table)
        return
    masks = secateur.prune(model, sparsity=table)
    lost = zeros(model)
    for pattern, share in table.items():
        own = groups[pattern]
        assert sum(lost[name] for name in own) == nearest(share, sum(counts[n] for n in own))
    assert masks.total == sum(counts[name] for own in groups.values() for name in own)
    assert all(unchanged(name, before, model) for name in left)


@pytest.mark.filterwarnings("ignore::secateur.verbs.left_out.CutWarning")
@settings(deadline=None, derandomize=True, max_examples=40)
@given(SHARES, st.sampled_from(["global", "layer"]), SHARES, SHARES)
def test_no_layer_loses_more_than_it_may(
    sparsity: float, ranking: Any, most: float, of_the_last: float
) -> None:
    model, counts = net(), sizes(net())
    shares = {"Linear": of_the_last, "*": most}
    masks = secateur.prune(model, sparsity=sparsity, ranking=ranking, max_sparsity=shares)
    allowed = {
        name: min(counts[name] - 1, math.floor(Fraction(repr(share)) * counts[name]))
        for name, share in zip(NAMES, (most, most, most, of_the_last), strict=True)
    }
    lost = zeros(model)
    assert all(lost[name] <= allowed[name] for name in NAMES)
    if ranking == "layer":
        assert lost == {name: min(nearest(sparsity, counts[name]), allowed[name]) for name in NAMES}
    else:
        assert masks.zeros == min(nearest(sparsity, masks.total), sum(allowed.values()))


@pytest.mark.filterwarnings("ignore::secateur.verbs.left_out.CutWarning")
@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    st.lists(st.sampled_from(["0", "3", "5", "8", "1"]), unique=True, min_size=1, max_size=2),
    st.sampled_from([0.25, 0.5, 0.75]),
    st.sampled_from(["channel", "filter"]),
    st.sampled_from(["global", "layer"]),
)
def test_a_layer_that_is_left_out_keeps_every_element_and_every_channel(
    exclude: list[str], sparsity: float, granularity: Any, ranking: Any
) -> None:
    model, before = net(), net()
    cut = {"example_inputs": EXAMPLE, "granularity": granularity, "ranking": ranking}
    if set(exclude) >= {"0", "3", "5"} or exclude in (["3", "8"], ["8", "3"]):
        return  # nothing is left whose channels could go
    masks = secateur.prune(model, "l1-filter", sparsity=sparsity, exclude=exclude, **cut)
    small = secateur.compact(model, masks, EXAMPLE)
    for name in exclude:
        assert not any(mask.startswith(f"{name}.") for mask in masks)
        assert unchanged(name, before, model)
        assert unchanged(name, before, small)
    held = [pin.path for pin in masks.report if pin.operator == "left out by exclude"]
    assert set(held) <= set(exclude)
    assert held


def test_the_channels_that_only_some_layers_compute() -> None:
    model, before = net(), net()
    masks = secateur.prune(model, "l1-filter", sparsity=0.5, only="3", example_inputs=EXAMPLE)
    assert set(masks) == {"3.weight", "3.bias"}
    assert zeros(model) == {"0": 0, "3": 6 * 8 * 9, "5": 0, "8": 0}
    assert unchanged("5", before, model)
    small = secateur.compact(model, masks, EXAMPLE)
    assert small.get_parameter("5.weight").shape == (6, 6, 3, 3)


def test_channels_that_hang_together_stay_with_the_one_that_stays() -> None:
    torch.manual_seed(0)
    model = Residual()
    masks = secateur.prune(
        model, "l1-filter", sparsity=0.5, only=["stem", "inner"], example_inputs=EXAMPLE
    )
    # The stem's channels are the outer's, too.
    assert zeros(model) == {"stem": 0, "inner": 3 * 8 * 9, "outer": 0, "last": 0, "fc": 0}
    assert ("left out by only", "outer", 8) in [
        (pin.operator, pin.path, pin.channels) for pin in masks.report
    ]
    both = {"stem": 0.5, "outer": 0.5}
    secateur.prune(model, "l1-filter", sparsity=both, example_inputs=EXAMPLE)
    assert zeros(model)["stem"] == 4 * 27


@pytest.mark.parametrize("most", [0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("round_to", [1, 4])
def test_channels_have_a_highest_sparsity(most: float, round_to: int) -> None:
    model = net()
    masks = secateur.prune(
        model,
        "l1-filter",
        sparsity=0.9,
        max_sparsity={"3": most},
        example_inputs=EXAMPLE,
        round_to=round_to,
    )
    gone = 12 - int(masks["3.bias"].sum())
    assert gone <= 12 * most
    assert gone == {1: math.floor(12 * most), 4: math.floor(12 * most) // 4 * 4}[round_to]


def _channels_left(masks: Masks) -> dict[str, int]:
    return {
        name.removesuffix(".weight"): int(mask.flatten(1).any(1).sum())
        for name, mask in masks.items()
        if name.endswith(".weight")
    }


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    st.sampled_from([0.3, 0.8, 0.99]),
    st.sampled_from(["global", "layer"]),
    st.sampled_from(["channel", "filter"]),
)
def test_every_layer_keeps_the_share_of_its_channels_that_is_protected(
    share: float, sparsity: float, ranking: Any, granularity: Any
) -> None:
    torch.manual_seed(0)
    widths = {"0": 7, "2": 12, "4": 5}
    model = nn.Sequential(
        nn.Conv2d(6, 7, 1), nn.ReLU(), nn.Conv2d(7, 12, 1), nn.ReLU(), nn.Conv2d(12, 5, 1),
        nn.Flatten(), nn.Linear(5, 4),
    )  # fmt: skip
    cut = partial(
        secateur.prune, method="l1-filter", scope="all" if granularity == "channel" else "conv",
        ranking=ranking, granularity=granularity, protected=share,
        example_inputs=torch.ones(2, 6, 1, 1),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CutWarning)
        first = cut(copy.deepcopy(model), sparsity=sparsity / 2)
        masks = cut(copy.deepcopy(model), sparsity=sparsity, previous=first)
    left = _channels_left(masks)
    assert left.get("6", 4) == 4  # what the net answers
    for name, width in widths.items():
        fewest = max(1, math.ceil(Fraction(str(share)) * width))
        kept = left.get(name, width)
        assert kept >= fewest
        if sparsity == 0.99 and ranking == "layer":
            assert (kept, name in masks.floored) == (fewest, True)
    assert all(not (mask & ~first[name]).any() for name, mask in masks.items() if name in first)


def test_zeros_stay_and_what_is_left_out_stays_through_training() -> None:
    model, before = net(), net()
    masks = secateur.prune(model, sparsity=0.8, exclude=["0", "8"])
    for name in ("0", "8"):
        model.get_submodule(name).requires_grad_(False)
    trained = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.05, weight_decay=0.1)
    with masks.freeze(optimizer):
        for _ in range(3):
            model(torch.randn(4, 3, 8, 8)).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    assert unchanged("0", before, model)
    assert unchanged("8", before, model)
    assert sum(zeros(model).values()) == masks.zeros == nearest(0.8, masks.total)


def test_a_part_of_a_method_may_be_left_with_nothing() -> None:
    model, before = net(), net()
    cut = {"sparsity": 0.5, "example_inputs": EXAMPLE}
    masks = secateur.prune(model, "combined", only="Linear", **cut)
    assert set(masks) >= {"8.weight"}
    assert zeros(model) == {"0": 0, "3": 0, "5": 0, "8": 120}
    assert all(unchanged(name, before, model) for name in ("0", "3", "5"))
    with pytest.raises(MaskError, match=r"leaves nothing.*0\.weight"):
        secateur.prune(net(), "l1-filter", only="Linear", **cut)


def test_a_table_for_each_part() -> None:
    model = net()
    level = [{"0": 0.25, "5": 0.5}, 0.75]
    secateur.prune(model, "combined", sparsity=level, example_inputs=EXAMPLE)
    assert zeros(model) == {"0": 2 * 27, "3": 0, "5": 3 * 12 * 9, "8": 180}


def test_what_is_named_is_prunable() -> None:
    model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 4))
    masks = secateur.prune(model, sparsity=0.5, prunable="0.weight")
    assert set(masks) == {"0.weight", "1.weight"}
    assert masks.zeros == 56
    found = secateur.sparsity(model, prunable=["Embedding"]).prunable
    assert (found.zeros, found.total) == (56, 112)


class Experts(nn.Module):
    """Three matrices in one tensor, behind transformers' linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = Conv1D(8, 6)
        self.token_mixers = nn.Parameter(torch.randn(3, 8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bi,eio->beo", self.attention(x), self.token_mixers)


def test_layers_of_other_libraries_are_chosen_like_torchs_own() -> None:
    model, x = Experts(), torch.randn(2, 6)
    with pytest.warns(CutWarning, match="name them by prunable"):
        assert secateur.prune(model, sparsity=0.5).total == 48  # the other's name says: tokens
    named = secateur.prune(model, sparsity=0.5, prunable="token_mixers", only="token_mixers")
    assert {name: int((~mask).sum()) for name, mask in named.items()} == {"token_mixers": 48}
    seen = secateur.prune(model, sparsity={"Conv1D": 0.25, "*": 0.75}, example_inputs=x)
    assert {name: int((~mask).sum()) for name, mask in seen.items()} == {
        "attention.weight": 12,
        "token_mixers": 72,
    }


WRONG: dict[str, dict[str, Any]] = {
    "exclude": {"exclude": "conv1"},
    "only": {"only": ["0", "9.*"]},
    "only, no weight": {"only": "1"},
    "prunable": {"prunable": "9"},
    "max_sparsity": {"max_sparsity": {"9": 0.5}},
    "sparsity": {"sparsity": {"0": 0.5, "Conv": 0.9}},
    "sparsity, no weight": {"sparsity": {"0": 0.5, "1": 0.9}},
}


@pytest.mark.parametrize("title", WRONG)
def test_a_pattern_that_matches_nothing_is_refused(title: str) -> None:
    model, before = net(), net()
    with pytest.raises(MaskError) as caught:
        secateur.prune(model, **{"sparsity": 0.5, **WRONG[title]})
    assert caught.value.subject == title.partition(",")[0]
    assert all(unchanged(name, before, model) for name in NAMES)


def test_previous_masks_may_not_cut_what_is_left_out() -> None:
    model = net()
    first = secateur.prune(model, sparsity=0.5)
    again = secateur.prune(model, sparsity=0.8, previous=first, exclude="0")
    assert again.is_within(first)
    assert torch.equal(again["0.weight"], first["0.weight"])
    with pytest.raises(MaskError, match=r"0\.weight, which exclude leaves out"):
        secateur.prune(net(), sparsity=0.5, previous=first, exclude="0")


def test_options_of_a_method_that_is_not_registered_are_refused_in_our_words() -> None:
    mine = Method("mine", "Mine.", "", (Part("magnitude", "weight", "all", "global"),))
    assert secateur.prune(net(), mine, sparsity=0.5).zeros
    with pytest.raises(UnknownNameError, match="rankin"):
        secateur.prune(net(), mine, sparsity=0.5, options={"rankin": "layer"})
    with pytest.raises(SpecError, match=r"methods\.mine\.ranking"):
        secateur.prune(net(), mine, sparsity=0.5, options={"ranking": "x"})
    with pytest.raises(SecateurError):
        secateur.prune(net(), "magnitude", sparsity=0.5, options={"ranking": "x"})


def test_all_of_it_is_as_before_without_a_choice() -> None:
    model = net()
    plain = secateur.prune(copy.deepcopy(model), sparsity=0.7)
    everything = secateur.prune(
        copy.deepcopy(model), sparsity={"*": 0.7}, only="*", max_sparsity=1.0
    )
    assert Masks(plain) == everything


@settings(deadline=None, derandomize=True, max_examples=25)
@given(SHARES, st.permutations(range(20)))
def test_weights_go_by_the_scores_that_are_given(sparsity: float, order: list[int]) -> None:
    model = nn.Linear(5, 4)
    scores = torch.tensor(order).reshape(4, 5)
    masks = secateur.prune(model, sparsity=sparsity, scores={"weight": scores})
    cut = min(nearest(sparsity, 20), 19)
    assert torch.equal(masks["weight"], scores >= cut)


@pytest.mark.parametrize("granularity", ["channel", "filter"])
@pytest.mark.parametrize("each", ["channel", "weight"])
def test_channels_go_by_the_scores_that_are_given(granularity: Any, each: str) -> None:
    model = net()
    order = {"0": torch.randperm(8), "3": torch.randperm(12), "5": torch.randperm(6)}
    given = {
        name: one
        if each == "channel"
        else one.reshape(-1, 1, 1, 1).expand(model.get_submodule(name).weight.shape)
        for name, one in order.items()
    }
    masks = secateur.prune(
        model,
        "slimming",
        ranking="layer",
        granularity=granularity,
        sparsity=0.5,
        scores=given,
        example_inputs=EXAMPLE,
    )
    for name, one in order.items():
        assert torch.equal(masks[f"{name}.bias"], one >= len(one) // 2)


def test_scores_are_needed_of_what_takes_part_alone() -> None:
    scores = {"8": torch.rand(10, 24)}
    assert secateur.prune(net(), sparsity=0.5, scores=scores, only="8").zeros == 120
    with pytest.raises(MaskError, match=r"0\.weight is a weight without scores"):
        secateur.prune(net(), sparsity=0.5, scores=scores)
    with pytest.raises(MaskError, match="240 scores"):
        secateur.prune(net(), sparsity=0.5, scores={"8": torch.rand(10)}, only="8")


def test_masks_of_ones_own() -> None:
    model = net()
    own = {"8.weight": torch.rand(10, 24) < 0.5}
    masks = secateur.prune(model, sparsity=0.0, previous=own, only="8")
    assert torch.equal(masks["8.weight"], own["8.weight"])
    assert zeros(model)["8"] == 240 - int(own["8.weight"].sum())


@pytest.mark.parametrize(
    "asked",
    [{"sparsity": 2}, {"target": {"macs": -1}}, {"sparsity": 0.5, "target": "macs=0.5"}, {}],
)
def test_what_is_asked_for_is_checked_before_any_data_are_looked_at(asked: dict[str, Any]) -> None:
    def batches() -> Any:
        raise AssertionError("looked at")
        yield

    with pytest.raises(MaskError):
        secateur.prune(
            net(), "taylor-filter", **asked, example_inputs=EXAMPLE, data=batches(),
            loss=lambda net, batch: net(batch).sum(),
        )  # fmt: skip
