from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.allocation import (
    Allocation,
    Candidates,
    Ranking,
    allocate,
)
from secateur.pruning.request import checked_sparsity

NAN, INF = float("nan"), float("inf")


def layer(
    scores: list[float],
    sizes: list[int] | int = 1,
    pruned: str | None = None,
    name: str = "fc",
) -> Candidates:
    """A layer; `pruned` marks units pruned before: `x` for pruned, `.` for not."""
    return Candidates(
        name,
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(sizes) if isinstance(sizes, list) else sizes,
        None if pruned is None else torch.tensor([mark == "x" for mark in pruned]),
    )


def picture(allocation: Allocation) -> str:
    """`.` kept, `x` cut, a `|` between layers."""
    return "|".join(
        "".join("." if keep else "x" for keep in kept.tolist()) for kept in allocation.kept
    )


# Every line can be checked by hand: the units go lowest score first.
GOLDEN = {
    "half of four": ([layer([4, 1, 3, 2])], 0.5, "global", ".x.x"),
    "nothing": ([layer([4, 1, 3, 2])], 0.0, "global", "...."),
    "ties: the earlier unit goes first": ([layer([1, 1, 1, 1])], 0.5, "global", "xx.."),
    "ties: the earlier layer goes first": (
        [layer([1, 1], name="a"), layer([1, 1], name="b")],
        0.25,
        "global",
        "x.|..",
    ),
    "0.3 of 4 is 1.2: one": ([layer([1, 2, 3, 4])], 0.3, "global", "x..."),
    "0.4 of 4 is 1.6: two": ([layer([1, 2, 3, 4])], 0.4, "global", "xx.."),
    "0.375 of 4 is 1.5, equally near: the smaller": (
        [layer([1, 2, 3, 4])],
        0.375,
        "global",
        "x...",
    ),
    "0.7 of 10 is 7, not 6.999": ([layer(list(range(10)))], 0.7, "global", "xxxxxxx..."),
    "0.1 + 0.2 is 3 of 10 in rationals": (
        [layer(list(range(10)))],
        0.3,
        "global",
        "xxx.......",
    ),
    "sizes 9: half of 27 is 13.5, equally near 9 and 18": (
        [layer([3, 1, 2], 9)],
        0.5,
        "global",
        ".x.",
    ),
    "sizes 5, 2, 3 in order of score: half is 5, held 2, 5, 10": (
        [layer([3, 1, 2], [5, 2, 3])],
        0.5,
        "global",
        ".xx",
    ),
    "sizes 4, 6: 0.3 of 10 is 3, nearer to 4 than to 0": (
        [layer([1, 2], [4, 6])],
        0.3,
        "global",
        "x.",
    ),
    "sizes 4, 6: 0.2 of 10 is 2, equally near 0 and 4": (
        [layer([1, 2], [4, 6])],
        0.2,
        "global",
        "..",
    ),
    "global takes from the weaker layer": (
        [layer([1, 2, 3, 4], name="a"), layer([5, 6, 7, 8], name="b")],
        0.375,
        "global",
        "xxx.|....",
    ),
    "layer takes from each": (
        [layer([1, 2, 3, 4], name="a"), layer([5, 6, 7, 8], name="b")],
        0.5,
        "layer",
        "xx..|xx..",
    ),
    "layer rounds in each": (
        [layer([1, 2, 3], name="a"), layer([1, 2, 3, 4, 5], name="b")],
        0.5,
        "layer",
        "x..|xx...",
    ),
    "pruned before goes first, whatever its score": (
        [layer([9, 1, 2, 3], pruned="x...")],
        0.5,
        "global",
        "xx..",
    ),
    "pruned before stays pruned at a lower level": (
        [layer([9, 8, 2, 3], pruned="xx..")],
        0.25,
        "global",
        "xx..",
    ),
    "a negative score is only a low one": ([layer([-1, -3, 0, 2])], 0.5, "global", "xx.."),
}


@pytest.mark.parametrize("title", list(GOLDEN))
def test_golden(title: str) -> None:
    layers, sparsity, ranking, expected = GOLDEN[title]
    found = allocate(layers, sparsity, ranking)
    assert picture(found) == expected
    assert found.floored == ()


FLOORS = {
    "the best of each layer stays": (
        [layer([1, 2], name="a"), layer([3, 4], name="b")],
        0.75,
        "global",
        "x.|x.",
        ("a",),
    ),
    "what the floor keeps is taken elsewhere": (
        [layer([1, 2], name="a"), layer([3, 4, 5], name="b")],
        0.4,
        "global",
        "x.|x..",
        ("a",),
    ),
    "of equal bests the last stays": ([layer([1, 1, 1])], 0.99, "global", "xx.", ("fc",)),
    "a layer of one unit always stays": (
        [layer([0], name="a"), layer([1, 2], name="b")],
        1 / 3,
        "global",
        ".|x.",
        ("a",),
    ),
    "in each layer by itself": (
        [layer([1, 2], name="a"), layer([3, 4, 5, 6], name="b")],
        0.8,
        "layer",
        "x.|xxx.",
        ("a",),
    ),
    "a layer that was empty before is not revived": (
        [layer([1, 2], pruned="xx", name="a"), layer([3, 4], name="b")],
        0.5,
        "global",
        "xx|..",
        (),
    ),
}


@pytest.mark.parametrize("title", list(FLOORS))
def test_floor(title: str) -> None:
    layers, sparsity, ranking, expected, floored = FLOORS[title]
    found = allocate(layers, sparsity, ranking)
    assert picture(found) == expected
    assert found.floored == floored


def test_the_total_may_be_larger_than_the_candidates() -> None:
    # A quarter of 16 weights is 4: two units of 2, although the candidates hold only 8.
    candidates = [layer([4, 3, 2, 1], 2)]
    assert picture(allocate(candidates, 0.25, total=16)) == "..xx"
    # All but the best go where the candidates cannot give enough, and that is said.
    found = allocate(candidates, 0.9, total=16)
    assert picture(found) == ".xxx"
    assert found.floored == ("fc",)


def test_counts_beyond_float32_are_exact() -> None:
    big = 2**40
    found = allocate([layer([1, 2, 3, 4], [big, 1, 1, big])], 0.5)
    assert picture(found) == "xx.."
    found = allocate([layer([1, 2, 3, 4], [big, 1, 2, big])], 0.5)
    assert picture(found) == "xx..", "big + 1.5 is equally near big + 1 and big + 3 - 1"


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_scores_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(MaskError) as caught:
        allocate([layer([1, 2], name="a"), layer([1, value, value], name="b")], 0.5)
    assert caught.value.subject == "b"
    assert "2 of 3" in caught.value.given


@pytest.mark.parametrize("sparsity", [1, 1.0, 1.5, -0.01, NAN, INF, -INF, "0.5", None, True, 90])
def test_a_bad_sparsity_is_refused(sparsity: float) -> None:
    with pytest.raises(MaskError, match="0 up to, but not including, 1"):
        checked_sparsity(sparsity)
    with pytest.raises(MaskError, match="0 up to, but not including, 1"):
        allocate([layer([1, 2])], sparsity)


@pytest.mark.parametrize("sparsity", [0, 0.0, 0.5, 0.999999])
def test_a_good_sparsity_is_a_float(sparsity: float) -> None:
    found = checked_sparsity(sparsity)
    assert isinstance(found, float)
    assert found == sparsity


SPARSITIES = st.floats(0, 1, exclude_max=True, allow_nan=False)
SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)  # many ties


@st.composite
def networks(draw: st.DrawFn, sized: bool = True) -> list[Candidates]:
    layers = draw(st.lists(SCORES, min_size=1, max_size=4))
    sizes = st.integers(1, 9) if sized else st.just(1)
    return [
        layer(scores, [draw(sizes) for _ in scores], name=f"layer{number}")
        for number, scores in enumerate(layers)
    ]


def flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat(tensors)


def total_of(layers: list[Candidates]) -> int:
    return sum(int(one.sizes.sum()) for one in layers if isinstance(one.sizes, Tensor))


def cut_of(layers: list[Candidates], found: Allocation) -> int:
    return sum(
        int(one.sizes[~kept].sum())
        for one, kept in zip(layers, found.kept, strict=True)
        if isinstance(one.sizes, Tensor)
    )


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES)
def test_no_other_prefix_of_the_ranking_is_nearer(
    layers: list[Candidates], sparsity: float
) -> None:
    found = allocate(layers, sparsity)
    target = Fraction(repr(sparsity)) * total_of(layers)
    # The definition, spelled out slowly: walk the ranking, pass over the best of each layer.
    units = [
        (score, number, index)
        for number, one in enumerate(layers)
        for index, score in enumerate(one.scores.tolist())
    ]
    best = {max(unit for unit in units if unit[1] == number) for number in range(len(layers))}
    held, prefixes = 0, [0]
    for _, number, index in sorted(unit for unit in units if unit not in best):
        sizes = layers[number].sizes
        assert isinstance(sizes, Tensor)
        held += int(sizes[index])
        prefixes.append(held)
    nearest = min(prefixes, key=lambda count: (abs(count - target), count))
    assert cut_of(layers, found) == nearest


@settings(deadline=None, derandomize=True)
@given(networks(sized=False), SPARSITIES)
def test_single_weights_are_counted_to_half_a_weight(
    layers: list[Candidates], sparsity: float
) -> None:
    found = allocate(layers, sparsity)
    target = Fraction(repr(sparsity)) * total_of(layers)
    most = total_of(layers) - len(layers)
    cut = cut_of(layers, found)
    assert abs(cut - target) <= Fraction(1, 2) or cut == most


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES, st.sampled_from(["global", "layer"]))
def test_the_floor_never_empties_a_layer(
    layers: list[Candidates], sparsity: float, ranking: Ranking
) -> None:
    found = allocate(layers, sparsity, ranking)
    for one, kept in zip(layers, found.kept, strict=True):
        assert bool(kept.any())
        assert bool(kept[one.scores == one.scores.max()].any()), "the best is among the kept"
    assert set(found.floored) <= {one.layer for one in layers}


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES, st.sampled_from(["global", "layer"]))
def test_the_same_again(layers: list[Candidates], sparsity: float, ranking: Ranking) -> None:
    first, second = allocate(layers, sparsity, ranking), allocate(layers, sparsity, ranking)
    assert torch.equal(flat(first.kept), flat(second.kept))
    assert first.floored == second.floored


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES, SPARSITIES, st.sampled_from(["global", "layer"]), st.randoms())
def test_levels_nest_however_the_scores_change(
    layers: list[Candidates], one: float, other: float, ranking: Ranking, random: object
) -> None:
    low, high = sorted((one, other))
    first = allocate(layers, low, ranking)
    moved = [
        Candidates(
            before.layer,
            torch.tensor([random.uniform(-1, 9) for _ in kept]),  # type: ignore[attr-defined]
            before.sizes,
            ~kept,
        )
        for before, kept in zip(layers, first.kept, strict=True)
    ]
    second = allocate(moved, high, ranking)
    assert bool((flat(second.kept) <= flat(first.kept)).all())


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 3).map(float), min_size=2, max_size=16), SPARSITIES, st.randoms())
def test_of_a_permuted_layer_the_same_scores_are_kept(
    scores: list[float], sparsity: float, random: object
) -> None:
    places = list(range(len(scores)))
    random.shuffle(places)  # type: ignore[attr-defined]
    straight = allocate([layer(scores)], sparsity).kept[0]
    moved = allocate([layer([scores[place] for place in places])], sparsity).kept[0]
    shuffled = torch.tensor(scores)[places]
    # The scores that stay are the same; of equal ones, those that come last.
    assert sorted(shuffled[moved].tolist()) == sorted(torch.tensor(scores)[straight].tolist())
    for value in set(scores):
        among = moved[shuffled == value].tolist()
        assert among == sorted(among)


ASCENDING = [1.0, 2, 3, 4, 5, 6, 7, 8]
# The ranking alone keeps what the name says first; the multiple is four.
MULTIPLES = {
    "5: four": (layer(ASCENDING), 0.375, "xxxx...."),
    "6, equally near: eight": (layer(ASCENDING), 0.25, "........"),
    "7: eight": (layer(ASCENDING), 0.125, "........"),
    "1: one multiple at least": (layer(ASCENDING), 0.875, "xxxx...."),
    "1 of 3: the layer is smaller and stays": (layer([3, 1, 2]), 0.6, "..."),
    "7 of 7: as many multiples as fit": (layer([1, 7, 2, 6, 3, 5, 4]), 0.0, "x.x.x.."),
    "ties: the earlier goes": (layer([1.0] * 8), 0.5, "xxxx...."),
    "5, and two that were pruned": (layer(ASCENDING, pruned="...xx..."), 0.375, "xx.xx..."),
    "3, and five that were pruned": (layer(ASCENDING, pruned="xxxxx..."), 0.25, "xxxxx..."),
}


@pytest.mark.parametrize("ranking", ["global", "layer"])
@pytest.mark.parametrize("name", MULTIPLES)
def test_the_number_kept_is_the_nearest_multiple(name: str, ranking: Ranking) -> None:
    units, sparsity, expected = MULTIPLES[name]
    assert picture(allocate([replace(units, multiple=4)], sparsity, ranking)) == expected


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.integers(1, 9),
    st.floats(0, 0.99),
    st.floats(0, 0.99),
)
@settings(deadline=None)
def test_multiples_hold_and_nest(
    scores: list[int], multiple: int, first: float, second: float
) -> None:
    units = replace(layer([float(score) for score in scores]), multiple=multiple)
    one = allocate([units], first).kept[0]
    two = allocate([replace(units, pruned=~one)], second).kept[0]
    assert not bool((two & ~one).any())
    for kept, before in ((one, len(scores)), (two, int(one.sum()))):
        count = int(kept.sum())
        assert count == before if before < multiple else count % multiple == 0 < count


@settings(deadline=None, derandomize=True)
@given(
    networks(),
    SPARSITIES,
    st.sampled_from(["global", "layer"]),
    st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.95, 1.0]), min_size=4, max_size=4),
    st.sampled_from([1, 2, 3]),
)
def test_no_layer_loses_more_than_its_highest_sparsity(
    layers: list[Candidates], sparsity: float, ranking: Ranking, most: list[float], multiple: int
) -> None:
    held = [
        replace(one, most=share, multiple=multiple)
        for one, share in zip(layers, most, strict=False)
    ]
    found = allocate(held, sparsity, ranking)
    for one, kept in zip(held, found.kept, strict=True):
        assert isinstance(one.sizes, Tensor)
        assert int(one.sizes[~kept].sum()) <= Fraction(repr(one.most)) * int(one.sizes.sum())


@settings(deadline=None, derandomize=True)
@given(networks(sized=False), SPARSITIES, st.lists(SPARSITIES, min_size=4, max_size=4))
def test_what_a_full_layer_does_not_give_others_do(
    layers: list[Candidates], sparsity: float, most: list[float]
) -> None:
    held = [replace(one, sizes=1, most=share) for one, share in zip(layers, most, strict=False)]
    found = allocate(held, sparsity)
    counts = [one.scores.numel() for one in held]
    allowed = [
        min(count - 1, int(Fraction(repr(one.most)) * count))
        for one, count in zip(held, counts, strict=True)
    ]
    target = Fraction(repr(sparsity)) * sum(counts)
    cut = [int((~kept).sum()) for kept in found.kept]
    assert all(lost <= may for lost, may in zip(cut, allowed, strict=True))
    assert abs(sum(cut) - target) <= Fraction(1, 2) or sum(cut) == sum(allowed) < target
    as_units = [replace(one, sizes=torch.ones_like(one.scores, dtype=torch.int64)) for one in held]
    assert picture(allocate(as_units, sparsity)) == picture(found)
    assert allocate(as_units, sparsity).floored == found.floored


@settings(deadline=None, derandomize=True)
@given(
    networks(),
    SPARSITIES,
    st.sampled_from(["global", "layer"]),
    st.sampled_from([0.0, 0.1, 0.3, 0.5, 1.0]),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([1, 2, 3]),
)
def test_a_protected_share_of_every_layer_stays_and_it_is_the_best(
    layers: list[Candidates],
    sparsity: float,
    ranking: Ranking,
    share: float,
    most: float,
    multiple: int,
) -> None:
    held = [replace(one, protected=share, most=most, multiple=multiple) for one in layers]
    found = allocate(held, sparsity, ranking)
    for one, kept in zip(held, found.kept, strict=True):
        left = one.scores.numel() if one.pruned is None else int((~one.pruned).sum())
        fewest = -(-Fraction(repr(share)) * one.scores.numel() // 1)
        assert int(kept.sum()) >= min(fewest, left)
        free = one.scores if one.pruned is None else one.scores[~one.pruned]
        best = torch.sort(free, descending=True).values[: int(kept.sum())]
        assert torch.equal(torch.sort(one.scores[kept], descending=True).values, best)


def test_protection_by_hand() -> None:
    one = replace(layer([float(each) for each in range(1, 11)]), protected=0.25)
    found = allocate([one], 0.9)
    assert (picture(found), found.floored) == ("xxxxxxx...", ("fc",))
    # What it keeps another layer gives, as far as it can.
    two = [replace(one, layer="a"), layer([11.0] * 10, name="b")]
    assert picture(allocate(two, 0.5)) == "xxxxxxx...|xxx......."
    assert picture(allocate([replace(one, most=0.5)], 0.9)) == "xxxxx....."
