"""A compaction's record: training goes on in the compact network as it would have in the masked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import pytest
import torch
from cutting import random_masks
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import LBFGS, SGD, Adafactor, Adam, AdamW, Optimizer

from secateur.channels import Compaction, compact_with_record, trace
from secateur.errors import ChannelError
from secateur.pruning.masks import Masks

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], Optimizer]] = {
    "sgd": lambda p: SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: AdamW(p, lr=0.01, weight_decay=0.0),
}
IMAGES = torch.randn(8, 1, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
CLASSES = torch.arange(8) % 2


def convolutional() -> nn.Module:
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(1, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 2),
    ]
    return nn.Sequential(*layers).double()


def step(model: nn.Module, optimizer: Optimizer) -> float:
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(IMAGES), CLASSES)
    loss.backward()
    optimizer.step()
    return loss.item()


def masked_training(make: Callable[..., Optimizer]) -> tuple[nn.Module, Masks, Optimizer]:
    """A network some steps into training on masks of channels and of a few single weights."""
    model = convolutional()
    optimizer = make(model.parameters())
    step(model, optimizer)
    held, _ = random_masks(model, trace(model, IMAGES).groups(), 0.5, 0)
    held["0.weight"][..., 0, 0] = False
    masks = Masks(held).apply(model)
    masks.freeze(optimizer)
    for _ in range(3):
        step(model, optimizer)
    return model, masks, optimizer


def compacted(model: nn.Module, masks: Masks) -> Compaction:
    return compact_with_record(model, masks, IMAGES, fold=False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_carried_optimizer_takes_the_masked_path(name: str) -> None:
    full, masks, reference = masked_training(OPTIMIZERS[name])
    other, _, optimizer = masked_training(OPTIMIZERS[name])
    record = compacted(other, masks)
    assert record.carry(optimizer) is optimizer
    small_masks = record.masks(masks)
    small_masks.freeze(optimizer)
    before = [value.clone() for value in other.parameters()]
    for _ in range(6):
        expected, given = step(full, reference), step(record.model, optimizer)
        assert given == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert sum(p.numel() for p in record.model.parameters()) < sum(
        p.numel() for p in full.parameters()
    )
    for key, value in full.named_parameters():
        torch.testing.assert_close(
            record.model.get_parameter(key), record.shrink(key, value), rtol=1e-10, atol=1e-12
        )
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    zeros = record.model.get_parameter("0.weight")[~small_masks["0.weight"]]
    assert zeros.numel() > 0
    assert torch.equal(zeros.view(torch.int64), torch.zeros_like(zeros, dtype=torch.int64))


def test_settings_counters_and_schedulers_go_on() -> None:
    model = convolutional()
    optimizer = Adam(
        [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[4].parameters()}], lr=0.2
    )
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    step(model, optimizer)
    masks, _ = random_masks(model, trace(model, IMAGES).groups(), 0.5, 0)
    record = compact_with_record(model, masks, IMAGES, fold=False)
    record.carry(optimizer)
    step(record.model, optimizer)
    scheduler.step()
    own = record.model
    assert isinstance(own, nn.Sequential)
    assert [p for group in optimizer.param_groups for p in group["params"]] == [
        *own[0].parameters(),
        *own[4].parameters(),
    ]
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.02])
    assert {float(state["step"]) for state in optimizer.state.values()} == {2.0}


def test_masks_with_nothing_left_to_hold_are_dropped() -> None:
    model = convolutional()
    masks, _ = random_masks(model, trace(model, IMAGES).groups(), 0.5, 0)
    assert len(compact_with_record(model, masks, IMAGES).masks(masks)) == 0
    masks["4.weight"][0, :] = torch.arange(54) % 2 == 0
    small = compact_with_record(model, masks, IMAGES)
    assert list(small.masks(masks)) == ["4.weight"]


def test_what_folding_filled_is_kept() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2)).double()
    dead = torch.tensor([True, True, False, True])
    masks = {"0.weight": dead[:, None].expand(4, 3), "0.bias": dead, "2.bias": torch.zeros(2) > 0}
    record = compact_with_record(net, masks, torch.zeros(1, 3))
    before = copy.deepcopy(record.model.state_dict())
    assert len(record.masks(masks)) == 0
    assert torch.equal(before["2.bias"], record.model.get_parameter("2.bias"))
    assert before["2.bias"].all()


def test_an_optimizer_of_another_network_is_refused() -> None:
    model = convolutional()
    masks, _ = random_masks(model, trace(model, IMAGES).groups(), 0.5, 0)
    record = compact_with_record(model, masks, IMAGES)
    with pytest.raises(ChannelError, match="carrying an optimizer: SGD is one that trains no"):
        record.carry(SGD(convolutional().parameters(), lr=0.1))


@pytest.mark.parametrize("kind", [LBFGS, Adafactor])
def test_state_that_cannot_be_cut_is_refused_and_left(kind: Callable[..., Optimizer]) -> None:
    model = convolutional()
    optimizer = kind(model.parameters(), lr=0.01)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = functional.cross_entropy(model(IMAGES), CLASSES)
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    masks, _ = random_masks(model, trace(model, IMAGES).groups(), 0.5, 0)
    record = compact_with_record(model, masks, IMAGES)
    with pytest.raises(ChannelError, match=r"is a state '.*' that is not of the parameter's shape"):
        record.carry(optimizer)
    assert optimizer.param_groups[0]["params"] == list(model.parameters())
