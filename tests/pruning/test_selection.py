"""The selection cuts exactly what a sort of all weights would."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from secateur.pruning.selection import Ranked, select


def naive(ranked: Ranked, wanted: int) -> tuple[list[Tensor], list[int]]:
    """The definition: walk the ranking, pass over the best of each layer that are held."""
    units = sorted(
        (-math.inf if pruned is not None and bool(pruned[index]) else score, layer, index)
        for layer, (scores, pruned) in enumerate(zip(ranked.scores, ranked.pruned, strict=True))
        for index, score in enumerate(scores.tolist())
    )
    held: set[tuple[float, int, int]] = set()
    for layer, count in enumerate(ranked.held):
        held |= set([unit for unit in units if unit[1] == layer and unit[0] != -math.inf][-count:])
    free = [unit for unit in units if unit not in held]
    kept = [torch.ones(scores.numel(), dtype=torch.bool) for scores in ranked.scores]
    for _, layer, index in free[:wanted]:
        kept[layer][index] = False
    return kept, sorted({unit[1] for unit in units[:wanted] if unit in held})


@st.composite
def rankings(draw: st.DrawFn) -> tuple[Ranked, int]:
    layers = draw(st.lists(st.lists(st.integers(-2, 3), max_size=9), min_size=1, max_size=5))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]))
    scores = [torch.tensor([*map(float, layer)], dtype=dtype) for layer in layers]
    pruned = [
        draw(st.none() | st.lists(st.booleans(), min_size=len(layer), max_size=len(layer)))
        for layer in layers
    ]
    masks = [None if marks is None else torch.tensor(marks, dtype=torch.bool) for marks in pruned]
    ranked = Ranked(scores, masks, [draw(st.integers(1, 4)) for _ in layers])
    return ranked, draw(st.integers(ranked.gone, max(ranked.count, ranked.gone)))


@settings(deadline=None, derandomize=True, max_examples=400)
@given(rankings())
def test_the_same_as_sorting(case: tuple[Ranked, int]) -> None:
    ranked, wanted = case
    kept, bitten = select(ranked, wanted)
    expected, floored = naive(ranked, wanted)
    assert [one.tolist() for one in kept] == [one.tolist() for one in expected]
    assert bitten == floored


@pytest.mark.parametrize("ties", [1, 7, 10**6], ids=["all equal", "seven values", "hardly any"])
@pytest.mark.parametrize("share", [0.1, 0.9, 0.9999])
@pytest.mark.parametrize("held", [1, 150])
def test_the_same_as_sorting_many(held: int, ties: int, share: float) -> None:
    generator = torch.Generator().manual_seed(ties)
    scores = [
        torch.randint(ties, (size,), generator=generator).float() for size in (5000, 3, 1, 2000)
    ]
    pruned = [None, None, None, torch.rand(2000, generator=generator) < 0.05]
    ranked = Ranked(scores, pruned, [held, 1, 1, held])
    wanted = max(int(share * ranked.count), ranked.gone)
    kept, bitten = select(ranked, wanted)
    expected, floored = naive(ranked, wanted)
    assert all(torch.equal(one, other) for one, other in zip(kept, expected, strict=True))
    assert bitten == floored


def test_scores_are_left_as_they_are() -> None:
    scores = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    select(Ranked([scores], [torch.tensor([False, True, False])], [1]), 1)
    assert scores.tolist() == [3.0, 1.0, 2.0]
