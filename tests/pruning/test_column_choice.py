from __future__ import annotations

from fractions import Fraction

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from secateur.pruning.column_choice import FromGroups, FromShares, even_shares

NONE = torch.zeros(1, 2, 4, dtype=torch.bool)
SCORES = torch.tensor([[[1.0, 9.0], [1.0, 2.0]]])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=9), st.data())
@settings(deadline=None)
def test_shares_are_whole_fit_and_add_up(sizes: list[int], draw: st.DataObject) -> None:
    count = draw.draw(st.integers(0, sum(sizes)))
    shares = even_shares(count, sizes)
    assert sum(shares) == count
    assert all(0 <= share <= size for share, size in zip(shares, sizes, strict=True))
    for end in range(len(sizes)):
        target = Fraction(count * sum(sizes[:end]), max(1, sum(sizes)))
        assert abs(sum(shares[:end]) - target) <= Fraction(1, 2)


def test_single_weights_go_of_all_outputs_together_of_equal_ones_the_earlier() -> None:
    choice = FromShares(NONE, 3, 2)
    assert (choice.steps, choice.cuts) == ([2, 2], True)
    assert choice.of(SCORES, 0).tolist() == [[[True, False], [False, False]]]
    assert choice.of(SCORES, 2).tolist() == [[[True, False], [True, False]]]


def test_what_is_gone_counts_and_goes_first() -> None:
    gone = NONE.clone()
    gone[0, 0, :2] = True
    choice = FromShares(gone, 5, 2)
    assert choice.of(SCORES, 0).tolist() == [[[True, True], [True, False]]]
    assert choice.of(SCORES, 2).tolist() == [[[True, False], [True, False]]]
    assert not FromShares(gone, 2, 2).cuts


def test_of_each_group_as_many_go_and_of_a_short_one_as_many_less() -> None:
    choice = FromGroups(NONE[..., :3], 1, 2, [3])
    assert (choice.steps, choice.cuts) == ([2, 1], True)
    assert choice.of(SCORES, 0).tolist() == [[[True, False], [True, False]]]
    assert choice.of(SCORES[..., :1], 2).tolist() == [[[False], [False]]]
    assert not FromGroups(NONE, 0, 2, [4]).cuts
