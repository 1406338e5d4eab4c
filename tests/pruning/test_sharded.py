"""FSDP2 on two gloo processes: zeros are held on every part, and what cannot be is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.errors import MaskError, SecateurError
from secateur.pruning.dynamic import Dynamic
from secateur.pruning.dynamic_cutter import DynamicCutter
from secateur.pruning.growing import Growing
from secateur.pruning.masks import Masks
from secateur.pruning.sharded import check_whole, is_sharded, local_part

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda own: torch.optim.SGD(own, lr=0.05, momentum=0.9, weight_decay=1e-2),
    "adam": lambda own: torch.optim.Adam(own, lr=0.05, weight_decay=1e-2),
    "adamw": lambda own: torch.optim.AdamW(own, lr=0.05, weight_decay=0.1),
}


def net() -> nn.Sequential:
    """Rows that two processes cannot share evenly, and a last layer of a single one."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.Flatten(),
        nn.Linear(80, 7), nn.ReLU(), nn.Linear(7, 1),
    )  # fmt: skip


def batch(rank: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(rank)
    return torch.randn(6, 1, 4, 4, generator=generator), torch.randn(6, 1, generator=generator)


def sharded(model: nn.Module) -> nn.Module:
    from torch.distributed.fsdp import fully_shard

    for module in (model[0], model[4], model[6]):
        fully_shard(module)
    fully_shard(model)
    return model


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    inputs, target = batch(torch.distributed.get_rank())
    for _ in range(steps):
        (model(inputs) - target).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


def gathered(model: nn.Module) -> dict[str, Tensor]:
    return {
        name: one.detach().full_tensor()  # type: ignore[attr-defined]
        for name, one in model.named_parameters()
    }


def zeros_left(state: dict[str, Tensor], masks: Masks) -> int:
    """Pruned elements that are not bitwise +0."""
    return sum(
        int(state[name].view(torch.int32)[~mask].count_nonzero()) for name, mask in masks.items()
    )


def held_through(optimizer: str, when: str) -> dict[str, Any]:
    model = net()
    masks = secateur.prune(model, sparsity=0.6)
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    model = sharded(model)
    stepper = OPTIMIZERS[optimizer](model.parameters())
    if when == "later":  # weights have grown and the optimizer has momentum where masks prune
        train(model, stepper)
        masks = Masks(masks.state_dict()).apply(model)
    frozen = masks.freeze(stepper, model)
    train(model, stepper)
    state = gathered(model)
    moved = sum(int((state[name] != before[name])[mask].any()) for name, mask in masks.items())
    part = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    frozen.remove()
    train(model, stepper)
    return {
        "left": zeros_left(state, masks),
        "moved": moved,
        "masks": len(masks),
        "gradients": len(part),
        "sharded": all(is_sharded(one) for one in model.parameters()),
        "thawed": zeros_left(gathered(model), masks),
        "sum": float(sum(one.double().sum() for one in state.values())),
    }


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_zeros_are_held_bit_by_bit_on_sharded_parameters(
    two_ranks: Any, optimizer: str, when: str
) -> None:
    first, second = two_ranks(held_through, optimizer, when)
    assert first == second
    assert first["sharded"]
    assert (first["left"], first["moved"]) == (0, first["masks"])
    assert first["thawed"] > 0


def accumulated() -> list[int]:
    """Between two batches of one step gradients are sharded; with whole ones they are not."""
    found = []
    for resharded in (True, False):
        model = net()
        masks = secateur.prune(model, sparsity=0.6)
        model = sharded(model)
        stepper = OPTIMIZERS["adamw"](model.parameters())
        masks.freeze(stepper, model)
        inputs, target = batch(torch.distributed.get_rank())
        for last in (False, True, False, True):
            model.set_requires_gradient_sync(last)
            model.set_reshard_after_backward(resharded)
            (model(inputs) - target).square().mean().backward()
            if last:
                stepper.step()
                stepper.zero_grad()
        for module in model.modules():
            if hasattr(module, "reshard"):
                module.reshard()
        found.append(zeros_left(gathered(model), masks))
    return found


def test_zeros_are_held_where_gradients_are_accumulated_and_weights_stay_gathered(
    two_ranks: Any,
) -> None:
    assert two_ranks(accumulated) == [[0, 0], [0, 0]]


def like_one_process() -> float:
    """The same as one process that sees both batches."""
    plain, other = net(), net()
    for one in (plain, other):
        for module in one:
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    masks = secateur.prune(plain, sparsity=0.6)
    secateur.prune(other, sparsity=0.6)
    model = sharded(other)
    for one, stepper in ((plain, None), (model, None)):
        stepper = torch.optim.SGD(one.parameters(), lr=0.05, momentum=0.9)
        masks.freeze(stepper, one)
        for _ in range(3):
            if one is plain:
                inputs, target = (torch.cat(pair) for pair in zip(batch(0), batch(1), strict=True))
            else:
                inputs, target = batch(torch.distributed.get_rank())
            (one(inputs) - target).square().mean().backward()
            stepper.step()
            stepper.zero_grad()
    state = gathered(model)
    return max(float((state[n] - one).abs().max()) for n, one in plain.named_parameters())


def test_sharded_training_is_that_of_one_process(two_ranks: Any) -> None:
    assert max(two_ranks(like_one_process)) < 1e-5


def refusals() -> dict[str, str]:
    model = net()
    masks = secateur.prune(copy.deepcopy(model), sparsity=0.6)
    model = sharded(model)
    example = batch(0)[0]
    stepper = torch.optim.SGD(model.parameters(), lr=0.1)
    asked = {
        "prune": lambda: secateur.prune(model, sparsity=0.5),
        "channels": lambda: secateur.prune(
            model, "l1-filter", sparsity=0.5, example_inputs=example
        ),
        "sparsity": lambda: secateur.sparsity(model),
        "of": lambda: Masks.of(model),
        "compact": lambda: secateur.compact(model, masks, example),
        "trace": lambda: secateur.trace(model, example),
        "save": lambda: secateur.save(model, "never.safetensors"),
        "cost": lambda: secateur.cost(model, example),
        "repair": lambda: secateur.repair(model, masks, [example], dense=net()),
        "sensitivity": lambda: secateur.sensitivity(model, lambda _: 0.0, levels=[0.5]),
        "export": lambda: secateur.export_pt2(model, example, "never.pt2"),
        "dynamic": lambda: DynamicCutter(masks, Dynamic(end=8)).start(model, [stepper], 0),
        "growing": lambda: Growing(masks, 10, ceiling=1.0).start(model, [stepper], 0),
        "other": lambda: Masks({"0.weight": torch.ones(2, 2, dtype=torch.bool)}).apply(model),
    }
    found = {}
    for name, call in asked.items():
        try:
            call()
            found[name] = "done"
        except SecateurError as error:
            found[name] = str(error)
    return found


def test_what_needs_whole_parameters_names_the_one_that_is_not(two_ranks: Any) -> None:
    for said in two_ranks(refusals):
        other = said.pop("other")
        assert "0.weight is a mask of shape (2, 2)" in other
        for name, text in said.items():
            assert "0.weight is sharded over 2 processes" in text, (name, text)
            assert "before the network is sharded" in text


def after_freezing() -> tuple[int, int]:
    """Frozen whole, sharded then: an optimizer of the parts is followed by their names."""
    model = net()
    masks = secateur.prune(model, sparsity=0.6)
    masks.freeze(torch.optim.SGD(model.parameters(), lr=0.1))
    model = sharded(model)
    stepper = OPTIMIZERS["adamw"](model.parameters())
    train(model, stepper)
    return zeros_left(gathered(model), masks), masks.zeros


def test_a_freeze_from_before_the_sharding_is_followed(two_ranks: Any) -> None:
    for left, zeros in two_ranks(after_freezing):
        assert left == 0
        assert zeros > 0


def other_layouts() -> dict[str, Any]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (2,))
    whole = torch.arange(15.0).reshape(5, 3)
    mask = whole % 2 == 0
    found: dict[str, Any] = {}
    for name, placement in {"rows": Shard(0), "columns": Shard(1), "copies": Replicate()}.items():
        placed = distribute_tensor(whole, mesh, [placement])
        found[name] = torch.equal(local_part(mask, placed), placed.to_local() % 2 == 0)
    partial = DTensor.from_local(whole, mesh, [Partial()])
    try:
        local_part(mask, partial, "5.weight")
    except MaskError as error:
        found["sums"] = str(error)
    return found


def test_parts_of_masks_lie_where_the_parts_of_parameters_do(two_ranks: Any) -> None:
    for found in two_ranks(other_layouts):
        assert "5.weight is laid out as Partial" in found.pop("sums")
        assert found == {"rows": True, "columns": True, "copies": True}


def test_a_network_in_one_process_is_whole() -> None:
    model = net()
    check_whole(model, "prune")
    assert not any(map(is_sharded, model.parameters()))


def test_fsdp1_and_deepspeed_are_refused_by_name() -> None:
    class FullyShardedDataParallel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self._fsdp_wrapped_module = nn.Linear(2, 2)

    with pytest.raises(MaskError, match=r"prune: body\._fsdp_wrapped_module\.weight.*FSDP1"):
        check_whole(nn.ModuleDict({"body": FullyShardedDataParallel()}), "prune")
    layer = nn.Linear(2, 2)
    layer.bias.ds_id = 3  # type: ignore[attr-defined]
    with pytest.raises(MaskError, match=r"prune: bias.*ZeRO-3"):
        secateur.prune(layer, sparsity=0.5)
