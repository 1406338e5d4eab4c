"""Ranks that train together: one choice for all, the same bits on each, and zeros that stay."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

import secateur
from secateur.errors import MaskError, TrainingError
from secateur.integrations.pruner import Pruner
from secateur.pruning.dynamic import Dynamic
from secateur.pruning.dynamic_cutter import DynamicCutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.growing import Growing, Late
from secateur.pruning.masks import Masks
from secateur.pruning.ranks import alone, average, check_weights_agree, first, once, rank, world
from secateur.training.optimizer import build_optimizer
from secateur.training_settings import TrainingSpec

OPTIMIZERS = {
    "sgd": TrainingSpec(optimizer="sgd", momentum=0.9, weight_decay=1e-2),
    "adam": TrainingSpec(optimizer="adam", weight_decay=1e-2),
    "adamw": TrainingSpec(optimizer="adamw", weight_decay=0.1),
}


def net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 2),
    )  # fmt: skip


def batch(number: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(10 * number + rank())
    return torch.randn(6, 1, 4, 4, generator=generator), torch.randn(6, 2, generator=generator)


def train(model: nn.Module, optimizer: Any, cutter: Any = None, steps: int = 4) -> None:
    for number in range(1, steps + 1):
        inputs, target = batch(number)
        loss = (model(inputs) - target).square().mean()
        if isinstance(cutter, Growing):
            loss = loss + cutter.penalty()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if cutter is not None:
            cutter.step(model, [optimizer], number)


def left(model: nn.Module, masks: Masks) -> int:
    return sum(
        int(parameter.detach().contiguous().view(torch.int32)[~masks[name]].count_nonzero())
        for name, parameter in masks.parameters_of(model).items()
    )


def bits(model: nn.Module) -> bytes:
    return b"".join(one.detach().contiguous().numpy().tobytes() for one in model.parameters())


def pruned_once(optimizer: str) -> dict[str, Any]:
    """The ranks' random cuts would differ; so would their weights, but for the first's."""
    model = DistributedDataParallel(net(seed=rank()))
    asked: list[int] = []

    def cut() -> Masks:
        asked.append(rank())
        seed = rank()
        return secateur.prune(model, "random-weight", sparsity=0.7, seed=seed)

    masks = once(cut, model)
    stepper = build_optimizer(model, OPTIMIZERS[optimizer], 0.05)
    before = bits(model)
    masks.freeze(stepper)
    train(model, stepper)
    check_weights_agree(model)
    return {
        "asked": asked,
        "names": sorted(masks),
        "masks": masks.to_text(),
        "zeros": masks.zeros,
        "left": left(model, masks),
        "moved": bits(model) != before,
        "bits": bits(model),
    }


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_the_first_rank_cuts_and_zeros_are_held_on_both(two_ranks: Any, optimizer: str) -> None:
    one, other = two_ranks(pruned_once, optimizer)
    assert (one.pop("asked"), other.pop("asked")) == ([0], [])
    assert one == other
    assert one["names"] == ["0.weight", "4.weight", "6.weight"]
    assert (one["left"], one["moved"]) == (0, True)
    assert one["zeros"] > 0


def cutters() -> dict[str, Any]:
    found = {}
    for name in ("gradual", "dynamic", "growing", "late"):
        model = DistributedDataParallel(net())
        stepper = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
        inner = model.module
        if name == "gradual":
            cutter: Any = Pruner(sparsity=Gradual(0.8, begin=0, end=4))
        elif name == "dynamic":
            masks = secateur.prune(inner, sparsity=0.7)
            cutter = DynamicCutter(masks, Dynamic(end=4, every=2))
        else:
            chosen = secateur.prune(net(), sparsity=0.6)
            late = Late(0.01, lambda one: secateur.prune(copy.deepcopy(one.module), sparsity=0.6))
            cutter = Growing(chosen, 4, 1.0, late=late if name == "late" else None)
        cutter.start(model, [stepper], 0)
        before = None if cutter.masks is None else cutter.masks.to_text()
        train(model, stepper, cutter, steps=5)
        check_weights_agree(model)
        found[name] = (
            cutter.masks.zeros,
            left(model, cutter.masks),
            before != cutter.masks.to_text(),
            cutter.masks.to_text(),
        )
    return found


def test_every_cutter_takes_the_masks_of_the_first_rank(two_ranks: Any) -> None:
    one, other = two_ranks(cutters)
    assert one == other
    for name, (zeros, remaining, changed, _) in one.items():
        assert zeros > 0, name
        assert remaining == 0, name
        assert changed, name


def wrapped() -> dict[str, Any]:
    """The names of a wrapped network are those of the one inside."""
    from lightning_fabric import Fabric

    found: dict[str, Any] = {}
    plain = DistributedDataParallel(net())
    example = batch(0)[0]
    found["channels"] = sorted(secateur.prune(plain, "l1-filter", example_inputs=example,
                                              sparsity=0.5))  # fmt: skip
    small = secateur.compact(plain, secateur.Masks.of(plain), example)
    found["compact"] = type(small).__name__
    fabric = Fabric(accelerator="cpu", devices=1)
    found["fabric"] = sorted(secateur.prune(fabric.setup(net()), sparsity=0.5))
    masks = Masks({"module.4.weight": torch.ones(8, 64, dtype=torch.bool)})
    found["module"] = sorted(masks.apply(plain))
    return found


def test_names_are_those_of_the_network_inside_a_wrapper(two_ranks: Any) -> None:
    for found in two_ranks(wrapped):
        assert found["channels"] == ["0.bias", "0.weight", "1.bias", "1.weight"]
        assert found["compact"] == "Sequential"
        assert found["fabric"] == ["0.weight", "4.weight", "6.weight"]
        assert found["module"] == ["module.4.weight"]


def disagreements() -> dict[str, Any]:
    found: dict[str, Any] = {}
    model = net(seed=rank())
    try:
        check_weights_agree(model)
    except TrainingError as error:
        found["weights"] = str(error)
    with alone():
        found["alone"] = (world(), rank())
        check_weights_agree(model)
        found["own"] = first(lambda: distributed.get_rank())

    def refused() -> Masks:
        return secateur.prune(model, sparsity=2.0)

    def broken() -> Masks:
        raise RuntimeError("no such layer")

    for name, make in (("refused", refused), ("broken", broken)):
        try:
            once(make, model)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    found["mean"] = average({"w": torch.full((2,), float(rank()))})["w"].tolist()
    return found


def test_what_differs_or_fails_is_said_on_every_rank(two_ranks: Any) -> None:
    one, other = two_ranks(disagreements)
    for found in (one, other):
        assert "the weights is not the first rank's on rank 1" in found["weights"]
        assert "MaskError: prune: " in found["refused"]
        assert "no such layer" in found["broken"]
        assert found["mean"] == [0.5, 0.5]
        assert found["alone"] == (1, 0)
    assert (one["own"], other["own"]) == (0, 1)


def test_one_process_is_a_world_by_itself() -> None:
    model = net()
    assert (world(), rank(), first(lambda: "made")) == (1, 0, "made")
    masks = once(lambda: secateur.prune(model, sparsity=0.5), model)
    assert masks.zeros == sum(one.numel() for one in masks.values()) // 2
    with pytest.raises(MaskError):
        once(lambda: secateur.prune(model, sparsity=-1.0), model)
