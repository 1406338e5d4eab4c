from functools import reduce
from operator import add
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import secateur
from secateur.pruning.normalize import Normalize, normalized

WAYS = [how for how in get_args(Normalize) if how != "none"]
SCORES = torch.tensor([1.0, 2.0, 3.0, 6.0])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("none", [1, 2, 3, 6]),
        ("mean", [1 / 3, 2 / 3, 1, 2]),
        ("l2", [each / 50**0.5 for each in (1, 2, 3, 6)]),
        ("max", [1 / 6, 1 / 3, 1 / 2, 1]),
        ("standard", [(each - 3) / 3.5**0.5 for each in (1, 2, 3, 6)]),
    ],
)
def test_by_hand(how: str, expected: list[float]) -> None:
    assert normalized(SCORES, how).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("how", WAYS)
def test_what_was_pruned_before_says_nothing_of_the_layer(how: str) -> None:
    pruned = torch.tensor([False, True, False, False])
    rest = normalized(SCORES[~pruned], how)
    assert torch.equal(normalized(SCORES, how, pruned)[~pruned], rest)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("scores", [[0.0, 0.0], [2.0], [2.0, 2.0], []])
def test_a_layer_that_has_no_scale_stays_finite(how: str, scores: list[float]) -> None:
    assert torch.isfinite(normalized(torch.tensor(scores), how)).all()


@pytest.mark.parametrize("how", WAYS)
@settings(deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9), st.sampled_from([0.5, 4.0, 1024.0]))
def test_no_scale_of_a_layer_is_left_and_no_order_in_it_changed(
    how: str, scores: list[int], scale: float
) -> None:
    plain = torch.tensor(scores, dtype=torch.float64)
    found = normalized(plain, how)
    assert torch.allclose(found, normalized(scale * plain, how))
    order = torch.argsort(plain, stable=True)
    assert torch.equal(plain[order], plain[torch.argsort(found, stable=True)])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_a_sum_is_taken_one_by_one_so_that_no_device_or_thread_changes_a_bit(
    scores: list[float],
) -> None:
    mean = reduce(add, scores) / len(scores)
    expected = [each / mean for each in scores] if mean else scores
    assert normalized(torch.tensor(scores, dtype=torch.float64), "mean").tolist() == expected


def net(scale: float) -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 3)
    )
    with torch.no_grad():
        made[0].weight *= scale  # type: ignore[operator]
    return made


def kept(scale: float, granularity: str, how: str | None) -> dict[str, Tensor]:
    method = "magnitude" if granularity == "weight" else "l1-filter"
    model = net(scale)
    masks = secateur.prune(
        model,
        method,
        sparsity=0.5,
        scope="all",
        ranking="global",
        normalize=how,  # type: ignore[arg-type]
        example_inputs=torch.ones(2, 6),
    )
    return {name: mask for name, mask in masks.items() if name.endswith("weight")}


@pytest.mark.parametrize("granularity", ["weight", "channel"])
@pytest.mark.parametrize("how", WAYS)
def test_a_cut_does_not_depend_on_a_layers_scale(granularity: str, how: str) -> None:
    one, other = (kept(scale, granularity, how) for scale in (1.0, 64.0))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    plain, scaled = (kept(scale, granularity, None) for scale in (1.0, 64.0))
    assert any(not torch.equal(plain[name], scaled[name]) for name in plain)


def test_a_word_that_nobody_knows() -> None:
    with pytest.raises(secateur.errors.UnknownNameError, match="normalize is 'men'"):
        secateur.prune(net(1.0), sparsity=0.5, normalize="men")  # type: ignore[arg-type]
