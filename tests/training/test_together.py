"""One training in two processes: that of one to the last bits, zeros held, and no hang."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest
import torch
from torch import Tensor, distributed, nn

import secateur
from secateur.data.images import ImageData
from secateur.errors import DeviceError, TrainingError, UsageError
from secateur.pruning.dynamic import Dynamic
from secateur.pruning.dynamic_cutter import DynamicCutter
from secateur.pruning.masks import Masks
from secateur.pruning.ranks import rank
from secateur.training import followers, together
from secateur.training.fit import fit
from secateur.training.rank_group import device_of
from secateur.training.slim import slim
from secateur.training.teacher import Teacher
from secateur.training_settings import TrainingSpec

# 19 examples in batches of 6 leave one for the last: one of two ranks has none of its own.
SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"optimizer": "sgd", "weight_decay": 1e-2, "learning_rate": 0.05},
    "adam": {"optimizer": "adam", "weight_decay": 1e-2},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "all of it": {"accumulate": 3, "clip_norm": 0.5, "schedule": "cosine"},
}


def data() -> ImageData:
    return secateur.data.load("shapes", train=19, val=8, test=8, size=8, classes=3, flip=True)


def net(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(8, 3),
    )  # fmt: skip


def spec(name: str, devices: int) -> TrainingSpec:
    return TrainingSpec(batch_size=6, devices=devices, **SETTINGS[name])


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: one.detach().clone() for name, one in model.state_dict().items()}


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def left(model: nn.Module, masks: Masks) -> int:
    held = masks.parameters_of(model)
    words = [held[name].detach().contiguous().view(torch.int32)[~masks[name]] for name in held]
    return sum(int(one.count_nonzero()) for one in words)


def trained(name: str, devices: int, dropout: float = 0.0) -> dict[str, Any]:
    model = net(dropout)
    masks = secateur.prune(model, sparsity=0.5)
    told: list[int] = []
    curve = fit(
        model, data(), spec(name, devices), epochs=2, masks=masks, device="cpu",
        on_epoch=lambda epoch: told.append(epoch.epoch),
    )  # fmt: skip
    found = {"state": state(model), "curve": curve, "left": left(model, masks), "told": told}
    return found | {"zeros": masks.zeros}


@pytest.mark.parametrize("name", list(SETTINGS))
def test_two_ranks_train_as_one_process_does(two_ranks: Any, name: str) -> None:
    first, second = two_ranks(trained, name, 2)
    alone = trained(name, 1)
    assert apart(first["state"], second["state"]) == 0
    # Adam divides slopes by their size, be they all rounding.
    assert apart(first["state"], alone["state"]) < (1e-5 if name == "sgd" else 2e-3)
    assert first["curve"] == second["curve"]
    for ours, own in zip(first["curve"], alone["curve"], strict=True):
        assert ours.loss == pytest.approx(own.loss, rel=1e-4)
    assert (first["left"], second["left"]) == (0, 0)
    assert first["zeros"] > 0
    assert (first["told"], second["told"]) == ([1, 2], [])


def with_cutters() -> dict[str, Any]:
    """A net whose connections move, one with a penalty and one with a teacher."""
    found: dict[str, Any] = {}
    model = net()
    cutter = DynamicCutter(secateur.prune(model, sparsity=0.5), Dynamic(end=6, every=2))
    before = cutter.masks
    fit(model, data(), spec("adamw", 2), epochs=2, cutter=cutter, device="cpu")
    found["left"] = left(model, cutter.masks)
    found["moved"] = cutter.masks != before and cutter.masks.zeros == before.zeros
    found["masks"] = {name: mask.float() for name, mask in cutter.masks.items()}
    statistics, _ = slim(
        net(), data(), spec("sgd", 2), epochs=1, penalty=1e-3, device="cpu"
    )  # fmt: skip
    found["slim"] = dict(statistics.scales)
    taught = net()
    teacher = Teacher(net(), 0.5, 4.0, epochs=1)
    fit(taught, data(), spec("sgd", 2), epochs=1, teacher=teacher, device="cpu")
    found["taught"] = state(taught)
    return found


def test_cutters_penalties_and_teachers_are_the_same_on_both(two_ranks: Any) -> None:
    first, second = two_ranks(with_cutters)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert (first["left"], first["moved"]) == (0, True)
    scales, _ = slim(net(), data(), spec("sgd", 1), epochs=1, penalty=1e-3, device="cpu")
    torch.testing.assert_close(first["slim"], dict(scales.scales), rtol=1e-4, atol=1e-5)
    taught = net()
    teacher = Teacher(net(), 0.5, 4.0, epochs=1)
    fit(taught, data(), spec("sgd", 1), epochs=1, teacher=teacher, device="cpu")
    torch.testing.assert_close(first["taught"], state(taught), rtol=1e-4, atol=1e-5)


def refused() -> dict[str, str]:
    found = {}
    for name, settings in {
        "world": {"devices": 3},
        "loss": {"devices": 2, "learning_rate": 1e38, "optimizer": "sgd"},
    }.items():
        try:
            fit(net(), data(), TrainingSpec(batch_size=6, **settings), epochs=3, device="cpu")
        except (UsageError, TrainingError) as error:
            found[name] = str(error)
    return found


def test_what_is_wrong_is_said_by_both(two_ranks: Any) -> None:
    for said in two_ranks(refused):
        assert "devices = 3 is asked for in a group of 2 processes" in said["world"]
        assert "not finite" in said["loss"]


@pytest.fixture
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
def test_followers_are_started_and_give_the_bits_of_a_group(two_ranks: Any) -> None:
    here, there = trained("adamw", 2, 0.5), two_ranks(trained, "adamw", 2, 0.5)[0]
    assert apart(here["state"], there["state"]) == 0
    assert here["curve"] == there["curve"]
    assert (here["left"], here["told"]) == (0, [1, 2])
    assert not distributed.is_initialized()


class Fails(nn.Module):
    """Comes to grief on the second rank, in its third step."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.net, self.how, self.steps = net(), how, 0

    def forward(self, images: Tensor) -> Tensor:
        self.steps += 1
        if rank() == 1 and self.steps == 3:
            if self.how == "error":
                raise ValueError("no such colour")
            os.kill(os.getpid(), signal.SIGKILL if self.how == "killed" else signal.SIGSTOP)
        return self.net(images)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("error", "rank 1 is stopped by ValueError: no such colour"),
        ("killed", "rank 1 is killed by signal 9"),
        ("silent", "rank 1 is silent for too long"),
    ],
)
def test_a_rank_that_comes_to_grief_ends_the_training_by_name(
    how: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(together, "PATIENCE", 3.0 if how == "silent" else 60.0)
    monkeypatch.setattr(followers, "_GRACE", 1.0 if how == "silent" else 10.0)
    with pytest.raises(TrainingError, match=said):
        fit(Fails(how), data(), spec("sgd", 2), epochs=2, device="cpu")
    assert not distributed.is_initialized()


def test_what_cannot_be_sent_is_refused() -> None:
    model = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2), model, nn.Linear(2, 3))
    with pytest.raises(TrainingError, match="cannot be sent to other processes"):
        fit(model, data(), spec("sgd", 2), epochs=1, device="cpu")


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(DeviceError):
        device_of("mps" if torch.backends.mps.is_available() else "cuda:7", 0, 2)
    with pytest.raises(ValueError, match="at most the 2 examples of a batch"):
        TrainingSpec(devices=3, batch_size=2)
    with pytest.raises(ValueError, match="sparse_retraining"):
        TrainingSpec(devices=2, sparse_retraining=True)
