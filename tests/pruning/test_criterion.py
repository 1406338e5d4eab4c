"""What every registered criterion keeps to; the values are tested in `criteria/`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import secateur
from secateur.errors import MaskError
from secateur.pruning.criterion import (
    INITIAL,
    RESIDUALS,
    SCORES,
    Criterion,
    Statistics,
    needs_of,
    scored,
    scores_channels_only,
)
from secateur.pruning.method import Granularity, Method, Part
from secateur.registry import COLLECTORS, CRITERIA, METHODS

EVERY = pytest.mark.parametrize("name", list(CRITERIA))


SIGNED = {"movement", "change", "grasp"}
"""What looks at where a weight goes, and not at how large it is."""


def known(rows: torch.Tensor, criterion: Criterion) -> Statistics:
    """Everything that it may need for these rows: of channels, one number for each."""
    shape = rows.shape[:1] if scores_channels_only(criterion) else rows.shape
    shaped = {"w": torch.rand(shape, generator=torch.Generator().manual_seed(2))}
    return Statistics(
        scales={"w": torch.tensor([0.5, -1.0, 2.0, 0.0])},
        seed=1,
        gathered=dict.fromkeys((*COLLECTORS, INITIAL, SCORES, RESIDUALS), shaped),
    )


def test_statistics_are_empty_unless_gathered_and_never_shared() -> None:
    assert (Statistics().scales, Statistics().seed) == ({}, 0)
    assert Statistics().scales is not Statistics().scales


@EVERY
@pytest.mark.parametrize("columns", [1, 9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_finite_floating_score_a_unit(name: str, columns: int, dtype: torch.dtype) -> None:
    criterion: Criterion = CRITERIA[name]
    rows = torch.randn(4, columns).to(dtype)
    scores = criterion("w", rows, known(rows, criterion))
    assert scores.shape == (4,)
    assert scores.is_floating_point()
    assert torch.isfinite(scores).all()
    assert not scores.requires_grad


@EVERY
def test_the_same_again_and_nothing_touched(name: str) -> None:
    criterion: Criterion = CRITERIA[name]
    rows = torch.randn(4, 3)
    given, same = known(rows, criterion), known(rows, criterion)
    before = rows.clone()
    assert torch.equal(criterion("w", rows, given), criterion("w", rows.clone(), same))
    assert torch.equal(rows, before)
    for name in needs_of([criterion]):
        assert torch.equal(given.of(name, "w"), same.of(name, "w"))


@EVERY
def test_the_sign_of_a_weight_does_not_matter(name: str) -> None:
    criterion: Criterion = CRITERIA[name]
    rows = torch.randn(4, 3)
    facts = known(rows, criterion)
    same = torch.equal(criterion("w", rows, facts), criterion("w", -rows, facts))
    assert same == (name not in SIGNED)


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (lambda _: None, r"scored as None \(does it end in a `return`\?\)"),
        (lambda rows: rows.abs().sum(1).numpy(), r"a numpy.ndarray of shape \(4,\).*from_numpy"),
        (lambda rows: rows.abs(), r"a tensor of shape \(4, 3\), expected .*shape \(4,\)"),
        (lambda rows: rows.abs().sum(), r"a tensor of shape \(\)"),
        (lambda rows: [1.0] * len(rows), "scored as a list"),
        (lambda rows: rows.sum(1).to(torch.complex64), "torch.complex64 tensor"),
        (lambda _: torch.tensor([1.0, torch.nan, 2.0, 3.0]), "scored NaN in 1 of 4 units"),
    ],
)
def test_what_is_no_score_is_told(give: Callable[[torch.Tensor], object], words: str) -> None:
    def mine(parameter: str, rows: torch.Tensor, statistics: Statistics) -> object:
        return give(rows)

    with pytest.raises(MaskError, match=words) as caught:
        scored(mine, "w", torch.ones(4, 3), Statistics())  # type: ignore[arg-type]
    assert "scoring by mine: w is " in str(caught.value)


@pytest.mark.parametrize("granularity", ["weight", "filter"])
def test_a_criterion_without_scores_is_told_whatever_it_cuts(granularity: Granularity) -> None:
    CRITERIA.add("nothing", lambda *_: None)
    METHODS.add(
        "mine", Method("mine", "Mine.", "", (Part("nothing", granularity, "conv", "layer"),))
    )
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 3))
    with pytest.raises(MaskError, match="scored as None"):
        secateur.prune(net, "mine", sparsity=0.5, example_inputs=torch.zeros(1, 1, 8, 8))
