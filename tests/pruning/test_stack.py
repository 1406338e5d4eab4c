from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch

from secateur.pruning.allocation import Candidates
from secateur.pruning.stack import stack_of

SCORES = torch.tensor([3.0, 1.0, 2.0, 1.0, 5.0])


def test_single_weights() -> None:
    stack = stack_of(Candidates("a", SCORES))
    assert (stack.total, stack.lowest, stack.highest) == (5, 1, 5)
    assert (stack.weights(3), stack.within(Fraction(7, 2))) == (3, 3)
    assert stack.kept(3).tolist() == [True, False, True, False, True]
    assert stack.kept(4).tolist() == [True, False, True, True, True], "of equal ones the later"


def test_units_of_several_sizes() -> None:
    stack = stack_of(Candidates("a", SCORES, torch.tensor([4, 1, 2, 3, 5])))
    assert (stack.total, stack.lowest, stack.highest) == (15, 1, 5)
    assert [stack.weights(units) for units in range(6)] == [0, 5, 9, 11, 14, 15]
    assert [stack.within(Fraction(one)) for one in (4, 5, 10, 99)] == [0, 1, 2, 5]
    assert stack.kept(4).tolist() == [True, False, True, True, True]


def test_units_of_one_size() -> None:
    stack = stack_of(Candidates("a", SCORES, 4))
    assert (stack.total, stack.lowest, stack.highest) == (20, 1, 5)
    assert (stack.weights(3), stack.within(Fraction(15))) == (12, 3)
    assert stack.kept(3).tolist() == [True, False, True, False, True]


def test_what_was_pruned_is_the_lowest_and_limits_hold_the_best() -> None:
    pruned = torch.tensor([False, False, False, False, True])
    for sizes in (1, torch.ones(5, dtype=torch.int64)):
        one = Candidates("a", SCORES, sizes, pruned, protected=0.5)
        stack = stack_of(one)
        assert (stack.total, stack.lowest, stack.highest) == (5, 3, 4)
        assert stack.kept(3).tolist() == [True, False, True, True, False]
        assert stack_of(replace(one, protected=0.0, most=0.2)).lowest == 4
        gone = stack_of(replace(one, pruned=torch.ones(5, dtype=torch.bool)))
        assert (gone.lowest, gone.highest) == (0, 0)
