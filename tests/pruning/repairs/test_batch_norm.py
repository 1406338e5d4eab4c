from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.errors import UsageError
from secateur.pruning.masks import Masks
from secateur.verbs.repair import repair

NOTHING = Masks({})


def test_statistics_of_uneven_batches_by_hand() -> None:
    norm = nn.BatchNorm1d(1)
    batches = [torch.tensor([[0.0], [2.0], [4.0]]), torch.tensor([[10.0], [12.0]])]
    repair(norm, NOTHING, batches, "batch-norm")
    # Means 2 and 11, unbiased variances 4 and 2, weighted 3 to 2.
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.item() == pytest.approx((3 * 2 + 2 * 11) / 5)
    assert norm.running_var.item() == pytest.approx((3 * 4 + 2 * 2) / 5)


def test_a_second_norm_sees_what_the_first_one_normalises_as_in_training() -> None:
    net = nn.Sequential(nn.BatchNorm1d(1), nn.ReLU(), nn.BatchNorm1d(1))
    x = torch.tensor([[1.0], [3.0]])
    repair(net, NOTHING, [x], "batch-norm")
    expected = nn.functional.relu(nn.functional.batch_norm(x, None, None, training=True)).mean()
    assert torch.allclose(net[2].running_mean, expected)


def test_modes_momentum_and_parameters_are_as_they_were() -> None:
    net = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3), nn.Dropout(), nn.Linear(2, 2))
    net.train()
    net[0].eval()
    before = [one.detach().clone() for one in net.parameters()]
    batch = torch.randn(8, 2)
    drawn = torch.get_rng_state()
    repair(net, NOTHING, [batch], "batch-norm")
    assert [module.training for module in net] == [False, True, True]
    assert net[0].momentum == 0.3
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), drawn)


def test_norms_without_statistics_or_batches_are_named() -> None:
    net = nn.Sequential(
        nn.BatchNorm1d(2, track_running_stats=False), nn.InstanceNorm1d(2, track_running_stats=True)
    )
    net.add_module("idle", nn.BatchNorm1d(2))
    net.forward = lambda x: net[1](net[0](x))  # type: ignore[method-assign]
    done = repair(net, NOTHING, [torch.randn(4, 2, 5)], "batch-norm")
    assert done[0].layers == ("1",)
    assert done[0].left == (("0", "it keeps no statistics"), ("idle", "no batch reaches it"))
    assert "left alone: 0 (it keeps no statistics); idle" in str(done)


def test_a_net_without_batch_norm_is_left_as_it_is() -> None:
    net = nn.Linear(2, 2)
    done = repair(net, NOTHING, [torch.ones(1, 2)], "batch-norm")
    assert str(done) == "batch-norm: 0 layers mended"


def test_a_batch_of_one_is_refused_and_the_statistics_stay() -> None:
    net = nn.BatchNorm1d(2)
    with pytest.raises(UsageError, match="one value of a channel"):
        repair(net, NOTHING, [torch.randn(4, 2), torch.randn(1, 2)], "batch-norm")
    assert net.running_mean is not None
    assert net.running_mean.tolist() == [0.0, 0.0]
    assert net.num_batches_tracked == 0


def test_a_shared_norm_gathers_from_all_its_calls() -> None:
    norm = nn.BatchNorm1d(1, affine=False)
    net = nn.Sequential(norm, nn.Linear(1, 1), norm)
    repair(net, NOTHING, [torch.randn(16, 1)], "batch-norm")
    assert norm.num_batches_tracked == 2
