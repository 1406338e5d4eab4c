from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateur.errors import MaskError
from secateur.pruning.allocation import Allocation, Candidates, allocate, sizes_of
from secateur.pruning.criterion import Statistics
from secateur.pruning.densities import Density, LayerShape
from secateur.pruning.layer_counts import allocate_by, allocate_part, kept_counts
from secateur.pruning.method import Part
from secateur.registry import ALLOCATIONS

BY_SHAPE = ("uniform", "erk")


def layer(name: str, count: int, **more: object) -> Candidates:
    """Scores that rise, so the last units stay."""
    return replace(Candidates(name, torch.arange(float(count))), **more)  # type: ignore[arg-type]


def shapes_of(layers: Sequence[Candidates]) -> list[LayerShape]:
    return [LayerShape(one.layer, (one.scores.numel(), 1)) for one in layers]


def counts(allocation: Allocation) -> list[int]:
    return [int(kept.sum()) for kept in allocation.kept]


def thirds(
    layers: Sequence[LayerShape], density: Fraction, statistics: Statistics
) -> list[Density]:
    """The first layer three times as dense as the others; it keeps a quarter at least."""
    del density, statistics
    return [Density(1 if number else 3, 0 if number else 0.25) for number in range(len(layers))]


# layers, sparsity -> how many stay: uniform, and with the first layer three times as dense.
GOLDEN = {
    "half of 12": ([layer("a", 4), layer("b", 8)], 0.5, [2, 4], [4, 2]),
    "12 of 16: nine tenths of the first layer cannot be": (
        *([layer("a", 8), layer("b", 8)], 0.25),
        *([6, 6], [8, 4]),
    ),
    "4 of 9 in three layers of three": (
        *([layer("a", 3), layer("b", 3), layer("c", 3)], 5 / 9),
        *([2, 1, 1], [2, 1, 1]),
    ),
    "2 of 4 ones: the first remainders": (
        *([layer(one, 1) for one in "abcd"], 0.5),
        *([1, 1, 1, 1], [1, 1, 1, 1]),
    ),
    "5 of 9: 1.67 each, the remainders go to the first two": (
        *([layer("a", 3), layer("b", 3), layer("c", 3)], 4 / 9),
        *([2, 2, 1], [3, 1, 1]),
    ),
    "three in ten at most of b": (
        *([layer("a", 10), layer("b", 10, most=0.3)], 0.5),
        *([3, 7], [3, 7]),
    ),
    "a protected half of b": (
        *([layer("a", 10), layer("b", 10, protected=0.5)], 0.7),
        *([1, 5], [3, 5]),
    ),
}


@pytest.mark.parametrize("title", list(GOLDEN))
def test_golden(title: str) -> None:
    layers, sparsity, uniform, tripled = GOLDEN[title]
    ALLOCATIONS.add("thirds", thirds)
    shapes = shapes_of(layers)
    assert counts(allocate_by("uniform", layers, shapes, sparsity)) == uniform
    assert counts(allocate_by("thirds", layers, shapes, sparsity)) == tripled


@pytest.mark.parametrize("allocation", BY_SHAPE)
def test_no_layer(allocation: str) -> None:
    assert allocate_by(allocation, [], [], 0.5) == Allocation((), ())


def test_a_layer_at_its_limit_is_floored() -> None:
    layers = [layer("a", 10), layer("b", 10, protected=0.5)]
    found = allocate_by("uniform", layers, shapes_of(layers), 0.7)
    assert (counts(found), found.floored) == ([1, 5], ("b",))
    # Where the limits leave more than the level asks for, more stays.
    found = allocate_by("uniform", layers, shapes_of(layers), 0.9)
    assert (counts(found), found.floored) == ([1, 5], ("b",))
    assert allocate_by("uniform", layers, shapes_of(layers), 0.4).floored == ()


def test_what_was_pruned_before_stays_so_and_the_others_give_the_rest() -> None:
    gone = torch.tensor([True] * 3 + [False])
    layers = [layer("a", 4, pruned=gone), layer("b", 8)]
    found = allocate_by("uniform", layers, shapes_of(layers), 0.5)
    assert counts(found) == [1, 5]
    assert not bool((found.kept[0] & gone).any())


def test_within_a_layer_the_best_stay_and_of_equal_ones_the_later() -> None:
    layers = [Candidates("a", torch.tensor([5.0, 1.0, 1.0, 3.0])), layer("b", 4)]
    kept = allocate_by("uniform", layers, shapes_of(layers), 0.25).kept
    assert kept[0].tolist() == [True, False, True, True]


def test_a_level_that_the_allocation_cannot_leave_is_refused() -> None:
    ALLOCATIONS.add("thirds", thirds)
    layers = [layer("a", 16), layer("b", 4)]
    with pytest.raises(
        MaskError,
        match=r"'thirds' is asked for a sparsity of 0\.8, which leaves 4 weights, fewer "
        r"than the 5 that it keeps in any case \(a\)",
    ):
        allocate_by("thirds", layers, shapes_of(layers), 0.8)


BAD = {
    "too few": [Density(1)],
    "nothing": [Density(0), Density(1)],
    "less than nothing": [Density(-1), Density(1)],
    "no number": [Density(float("nan")), Density(1)],
    "without an end": [Density(float("inf")), Density(1)],
    "more than all": [Density(1, 1.5), Density(1)],
}


@pytest.mark.parametrize("title", list(BAD))
def test_densities_that_are_none_are_refused(title: str) -> None:
    ALLOCATIONS.add("bad", lambda *_: BAD[title])
    layers = [layer("a", 4), layer("b", 4)]
    with pytest.raises(MaskError, match="the densities of 'bad'"):
        allocate_by("bad", layers, shapes_of(layers), 0.5)


def test_counts_of_shapes_alone() -> None:
    shapes = {"fc1": (300, 784), "fc2": (100, 300), "fc3": (10, 100)}
    assert kept_counts(shapes, 0.95, "uniform") == {"fc1": 11760, "fc2": 1500, "fc3": 50}
    for sparsity in (0.0, 0.5, 0.9, 0.95, 0.99):
        found = kept_counts(shapes, sparsity)
        assert sum(found.values()) == round(266200 * (1 - sparsity))
    with pytest.raises(MaskError, match="it ranks the units of all layers together"):
        kept_counts(shapes, 0.5, "global")


SPARSITIES = st.one_of(st.floats(0, 0.99), st.sampled_from([0.0, 0.5, 0.8, 0.9]))


@st.composite
def networks(draw: st.DrawFn) -> list[Candidates]:
    """Layers of units of one size or of several, some of them pruned before, with limits."""
    alike, sized = draw(st.sampled_from([1, 1, 4])), draw(st.booleans())
    layers = []
    for number in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 12))
        numbers = st.lists(st.integers(0, 5), min_size=count, max_size=count)
        marks = st.lists(st.booleans(), min_size=count, max_size=count)
        sizes = st.lists(st.integers(1, 9), min_size=count, max_size=count)
        layers.append(
            Candidates(
                f"layer {number}",
                torch.tensor(draw(numbers), dtype=torch.float32),
                torch.tensor(draw(sizes)) if sized else alike,
                draw(st.one_of(st.none(), marks.map(torch.tensor))),
                most=draw(st.sampled_from([1.0, 0.9, 0.5])),
                protected=draw(st.sampled_from([0.0, 0.1, 0.3])),
            )
        )
    return layers


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES, st.sampled_from(BY_SHAPE))
def test_the_total_is_that_of_a_global_cut(
    layers: list[Candidates], sparsity: float, allocation: str
) -> None:
    found = allocate_by(allocation, layers, shapes_of(layers), sparsity)
    again = allocate_by(allocation, layers, shapes_of(layers), sparsity)
    together = allocate(layers, sparsity)
    assert found.floored == again.floored
    for one, kept, other in zip(layers, found.kept, again.kept, strict=True):
        assert torch.equal(kept, other)
        left = torch.ones_like(kept) if one.pruned is None else ~one.pruned
        assert not bool((kept & ~left).any())
        assert bool(kept.any()) == bool(left.any())
        sizes = sizes_of(one)
        lost = int(sizes[~kept & left].sum()) + int(sizes[~left].sum())
        most = Fraction(repr(one.most)) * int(sizes.sum())
        assert lost <= max(most, int(sizes[~left].sum()))
        fewest = -(-Fraction(repr(one.protected)) * len(kept) // 1)
        assert int(kept.sum()) >= min(fewest, int(left.sum()))
        best = torch.sort(one.scores[left], descending=True).values[: int(kept.sum())]
        assert torch.equal(torch.sort(one.scores[kept], descending=True).values, best)
    if not isinstance(layers[0].sizes, torch.Tensor):
        assert sum(counts(found)) == sum(counts(together))


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES, SPARSITIES, st.sampled_from(BY_SHAPE))
def test_levels_nest(layers: list[Candidates], one: float, other: float, allocation: str) -> None:
    low, high = sorted((one, other))
    first = allocate_by(allocation, layers, shapes_of(layers), low)
    narrowed = [replace(each, pruned=~kept) for each, kept in zip(layers, first.kept, strict=True)]
    second = allocate_by(allocation, narrowed, shapes_of(layers), high)
    for before, after in zip(first.kept, second.kept, strict=True):
        assert not bool((after & ~before).any())


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES, st.sampled_from(BY_SHAPE))
def test_units_of_one_weight_are_counted_as_weights_are(
    layers: list[Candidates], sparsity: float, allocation: str
) -> None:
    single = [replace(one, sizes=1) for one in layers]
    units = [replace(one, sizes=torch.ones(len(one.scores), dtype=torch.int64)) for one in layers]
    expected = allocate_by(allocation, single, shapes_of(layers), sparsity)
    found = allocate_by(allocation, units, shapes_of(layers), sparsity)
    assert counts(found) == counts(expected)
    assert found.floored == expected.floored


@settings(deadline=None, derandomize=True)
@given(networks(), SPARSITIES)
def test_no_layer_is_farther_than_a_unit_from_its_share(
    layers: list[Candidates], sparsity: float
) -> None:
    free = [replace(one, most=1.0, protected=0.0, pruned=None) for one in layers]
    found = allocate_by("uniform", free, shapes_of(free), sparsity)
    for one, kept in zip(free, found.kept, strict=True):
        sizes = sizes_of(one)
        share = (1 - Fraction(repr(sparsity))) * int(sizes.sum())
        if int(kept.sum()) > 1:  # the floor keeps one
            largest = int(sizes.max())
            assert int(sizes[kept].sum()) < share + largest + 1


def test_a_part_without_an_allocation_goes_by_its_ranking() -> None:
    layers = [layer("a", 4), layer("b", 8)]
    part = Part("magnitude", "weight", "all", "global")
    found = {
        (ranking, word): counts(
            allocate_part(
                replace(part, ranking=ranking, allocation=word),  # type: ignore[arg-type]
                layers,
                shapes_of(layers),
                0.5,
                Statistics(),
            )
        )
        for ranking in ("global", "layer")
        for word in ("", "global", "uniform")
    }
    assert found["global", ""] == found["global", "global"] == found["layer", "global"] == [1, 5]
    assert found["layer", ""] == found["layer", "uniform"] == found["global", "uniform"] == [2, 4]
