import torch

from secateur.pruning.criteria.random import random
from secateur.pruning.criterion import Statistics

ROWS = torch.zeros(1000, 2)


def test_fixed_by_seed_and_name_alone() -> None:
    scores = random("conv.weight", ROWS, Statistics(seed=1))
    torch.manual_seed(5)
    assert torch.equal(scores, random("conv.weight", ROWS + 1, Statistics(seed=1)))
    assert not torch.equal(scores, random("conv.weight", ROWS, Statistics(seed=2)))
    assert not torch.equal(scores, random("fc.weight", ROWS, Statistics(seed=1)))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    random("w", ROWS, Statistics())
    assert torch.equal(before, torch.get_rng_state())


def test_uniform_in_the_unit_interval() -> None:
    scores = random("w", ROWS, Statistics())
    assert scores.shape == (1000,)
    assert 0 <= float(scores.min()) < 0.02
    assert 0.98 < float(scores.max()) < 1
    assert abs(float(scores.mean()) - 0.5) < 0.05


def test_the_stream_is_pinned() -> None:
    found = random("conv.weight", torch.zeros(3, 1), Statistics(seed=0))
    assert [round(value, 6) for value in found.tolist()] == [0.048421, 0.707938, 0.801321]
