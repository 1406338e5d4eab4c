from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.data.images import ImageData
from secateur.errors import ChannelError, DataError
from secateur.pruning.group_norms import GroupNorms
from secateur.pruning.groups import Groups
from secateur.pruning.method import find_method
from secateur.training.group_lasso import group_lasso
from secateur.training_settings import TrainingSpec
from secateur.verbs.units import groups_of

SPEC = TrainingSpec(optimizer="sgd", learning_rate=0.05, batch_size=8)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 3),
    )  # fmt: skip


def groups(model: nn.Module, data: ImageData) -> Groups:
    return groups_of(model, find_method("group-lasso").parts[0], data.example(2))


def norms(model: nn.Module, data: ImageData) -> Tensor:
    return GroupNorms(model, groups(model, data)).squared().detach()


def test_the_penalty_makes_groups_small_the_small_ones_first(data: ImageData) -> None:
    first = norms(net(), data)
    ends = []
    for penalty in (1e-9, 0.003, 0.03):
        model = net()
        curve = group_lasso(model, data, SPEC, epochs=3, penalty=penalty, device="cpu")
        assert [entry.epoch for entry in curve] == [1, 2, 3]
        ends.append(norms(model, data))
    assert bool((ends[1] < ends[0]).all())
    assert bool((ends[2] < ends[1]).all())
    shrunk = ends[1][:6] / first[:6]
    assert int(shrunk.argmin()) == int(first[:6].argmin())
    assert float(shrunk.min()) < 0.5 * float(shrunk.max())


def test_what_is_cut_is_nearly_nothing_wherever_it_lives(data: ImageData) -> None:
    model = net()
    group_lasso(model, data, SPEC, epochs=10, penalty=0.005, device="cpu")
    left = norms(model, data)
    masks = secateur.prune(
        copy.deepcopy(model), "group-lasso", sparsity=0.4, example_inputs=data.example(2)
    )
    gone = ~torch.cat([masks[name].flatten(1).any(1) for name in ("0.weight", "2.weight")])
    assert gone.any()
    assert float(left[gone].max()) < 0.05 * float(left[~gone].max())
    reads = model.get_parameter("2.weight").detach().square().sum((0, 2, 3))
    assert float(reads[gone[:6]].max()) < 0.05 * float(reads[~gone[:6]].max())


def test_the_same_seed_gives_the_same_bits(data: ImageData) -> None:
    found = []
    for seed in (1, 1, 2):
        model = net()
        group_lasso(model, data, SPEC, epochs=1, penalty=0.01, seed=seed, device="cpu")
        found.append(torch.cat([one.flatten() for one in model.state_dict().values()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("given", [None, [(torch.zeros(2, 3, 8, 8), torch.zeros(2))]])
def test_data_that_are_no_images_are_refused(given: object) -> None:
    with pytest.raises(DataError, match=r"group sparsity training: the data is a .*from_dataset"):
        group_lasso(net(), given, SPEC, epochs=1, penalty=0.1)  # type: ignore[arg-type]


def test_a_network_without_channels_is_refused(data: ImageData) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.raises(ChannelError):
        group_lasso(model, data, SPEC, epochs=1, penalty=0.1)
