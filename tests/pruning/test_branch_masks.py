"""Which branches go: by hand, by exact counts, and never more than was asked."""

import pytest
import torch

from secateur.errors import MaskError
from secateur.pruning.allocation import Candidates
from secateur.pruning.branch_masks import keep_whole

SCORES = torch.tensor([5.0, 1.0, 3.0, 1.0, 9.0])
SIZES = torch.tensor([10, 40, 20, 10, 20])


def gone(share: float, **limits: object) -> list[int]:
    units = Candidates("net", SCORES, SIZES, **limits)  # type: ignore[arg-type]
    kept, _ = keep_whole(units, share, int(SIZES.sum()))
    return torch.nonzero(~kept).squeeze(1).tolist()


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, []),
        (0.39, []),  # the lowest one weighs 40 of 100
        (0.4, [1]),
        (0.49, [1]),
        (0.5, [1, 3]),  # of equal scores the earlier one first
        (0.69, [1, 3]),
        (0.7, [1, 2, 3]),
        (0.8, [0, 1, 2, 3]),
        (0.99, [0, 1, 2, 3]),  # the best one stays
    ],
)
def test_the_lowest_ones_go_while_they_are_no_more_than_asked(
    share: float, expected: list[int]
) -> None:
    assert gone(share) == expected


def test_a_protected_share_of_the_branches_stays_and_is_told() -> None:
    assert gone(0.99, protected=0.4) == [1, 2, 3]
    units = Candidates("net", SCORES, SIZES, protected=0.4)
    assert [keep_whole(units, share, 100)[1] for share in (0.5, 0.7, 0.8)] == [False, False, True]


def test_what_went_before_stays_away_whatever_it_weighs() -> None:
    before = torch.tensor([True, False, False, False, False])
    assert gone(0.0, pruned=before) == [0]
    assert gone(0.5, pruned=before) == [0, 1]


def test_a_share_of_more_than_the_candidates_hold() -> None:
    kept, _ = keep_whole(Candidates("net", SCORES, SIZES), 0.25, 200)
    assert (~kept).nonzero().squeeze(1).tolist() == [1, 3]


def test_scores_and_shares_that_are_none_are_refused() -> None:
    with pytest.raises(MaskError, match="sparsity"):
        gone(1.0)
    with pytest.raises(MaskError, match="NaN or infinite"):
        keep_whole(Candidates("net", SCORES * float("nan"), SIZES), 0.5, 100)
