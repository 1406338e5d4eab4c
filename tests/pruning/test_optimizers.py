"""Wrapped optimizers hold pruned weights too, whoever wraps them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.errors import MaskError
from secateur.pruning.optimizers import after_step, wrapped
from secateur.verbs.prune import prune


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)


def loss_of(model: nn.Module) -> Tensor:
    return functional.cross_entropy(model(torch.randn(16, 8)), torch.randint(3, (16,)))


class Plain:
    """No torch class at all: the optimizer under a name of its own."""

    def __init__(self, model: nn.Module) -> None:
        self._hidden = adam(model)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self._hidden.param_groups

    def step(self) -> None:
        self._hidden.step()

    def zero_grad(self) -> None:
        self._hidden.zero_grad()


class Lookahead(torch.optim.Optimizer):
    """Slow weights that know nothing of masks: after the inner step they bring weights back."""

    def __init__(self, model: nn.Module) -> None:  # super().__init__ is not called, as in timm
        self.base = adam(model)
        self.param_groups, self.defaults = self.base.param_groups, self.base.defaults
        self.slow = [p.detach().clone() + 1 for p in model.parameters()]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.base.step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for slow, fast in zip(self.slow, group["params"], strict=True):
                    slow.add_(fast - slow, alpha=0.5)
                    fast.copy_(slow)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.base.zero_grad(set_to_none)


class MasterWeights:
    """As apex's: the inner optimizer trains copies, which are written into the model."""

    def __init__(self, model: nn.Module) -> None:
        self.model_groups = [list(model.parameters())]
        self.masters = [p.detach().clone().double().requires_grad_() for p in model.parameters()]
        self.optimizer = torch.optim.SGD(self.masters, lr=0.1, momentum=0.9, weight_decay=0.1)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return self.optimizer.param_groups

    def step(self) -> None:
        (parameters,) = self.model_groups
        for master, parameter in zip(self.masters, parameters, strict=True):
            assert parameter.grad is not None
            master.grad = parameter.grad.double()
        self.optimizer.step()
        with torch.no_grad():
            for master, parameter in zip(self.masters, parameters, strict=True):
                parameter.copy_(master)

    def zero_grad(self) -> None:
        for parameter in self.model_groups[0]:
            parameter.grad = None


class Sharpness(torch.optim.Optimizer):
    """As SAM: it has the hooks, and trains by an inner optimizer's step."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), {})
        self.base_optimizer = adam(model)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.base_optimizer.step()


class Fused:
    """One optimizer for each parameter, in a dict."""

    def __init__(self, model: nn.Module) -> None:
        self.all = {name: torch.optim.Adam([p], lr=0.1) for name, p in model.named_parameters()}
        self.param_groups: list[dict[str, Any]] = []

    def step(self) -> None:
        for one in self.all.values():
            one.step()

    def zero_grad(self) -> None:
        for one in self.all.values():
            one.zero_grad()


def fabric(model: nn.Module) -> Any:
    from lightning_fabric import Fabric

    return Fabric(accelerator="cpu", devices=1).setup(model, adam(model))[1]


def lightning(model: nn.Module) -> Any:
    core = pytest.importorskip("pytorch_lightning.core.optimizer")
    strategies = pytest.importorskip("pytorch_lightning.strategies")
    made = core.LightningOptimizer(adam(model))
    made._strategy = strategies.SingleDeviceStrategy(torch.device("cpu"))
    made._strategy._lightning_module = None
    made._strategy.optimizer_step = lambda optimizer, *_, **__: optimizer.step()
    return made


def accelerated(model: nn.Module) -> Any:
    accelerate = pytest.importorskip("accelerate")
    return accelerate.Accelerator(cpu=True).prepare(adam(model))


def scheduled(model: nn.Module) -> Any:
    optimizer = adam(model)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)
    return optimizer


WRAPPERS: dict[str, Callable[[nn.Module], Any]] = {
    "none": adam,
    "a scheduler patched its step": scheduled,
    "plain": Plain,
    "lookahead": Lookahead,
    "master weights": MasterWeights,
    "sharpness": Sharpness,
    "one for each": Fused,
    "fabric": fabric,
    "lightning": lightning,
    "accelerate": accelerated,
    "accelerate twice": lambda model: accelerated_twice(model),
}


def accelerated_twice(model: nn.Module) -> Any:
    optimizer = pytest.importorskip("accelerate.optimizer")
    return optimizer.AcceleratedOptimizer(accelerated(model))


@pytest.mark.parametrize("name", list(WRAPPERS))
def test_zeros_stay_zero_and_thaw(name: str) -> None:
    model = net()
    optimizer = WRAPPERS[name](model)
    masks = prune(model, sparsity=0.8)
    held = masks.freeze(optimizer)

    def regrown() -> int:
        return sum(
            int((parameter[~masks[one]] != 0).sum())
            for one, parameter in model.named_parameters()
            if one in masks
        )

    for _ in range(3):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()
        assert regrown() == 0
    held.remove()
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(model).backward()
        optimizer.step()
    assert regrown() > 0


def test_a_scheduler_may_come_after_the_freeze() -> None:
    for make in (adam, Lookahead, accelerated):
        model = net()
        optimizer = make(model)
        masks = prune(model, sparsity=0.8)
        held = masks.freeze(optimizer)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        loss_of(model).backward()
        optimizer.step()
        schedule.step()
        assert not model[0].weight[~masks["0.weight"]].any()
        held.remove()


def test_a_gradient_scaler_steps_a_frozen_optimizer() -> None:
    model = net()
    optimizer, masks = adam(model), prune(model, sparsity=0.8)
    masks.freeze(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for _ in range(2):
        optimizer.zero_grad()
        scaler.scale(loss_of(model)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert not model[0].weight[~masks["0.weight"]].any()


def test_several_optimizers_hold_what_each_trains() -> None:
    model = net()
    masks = prune(model, sparsity=0.8)
    both = [torch.optim.SGD(model[i].parameters(), lr=0.1, weight_decay=0.1) for i in (0, 2)]
    masks.freeze(both)
    loss_of(model).backward()
    with torch.no_grad():
        model[0].weight.add_(1)
    both[0].step()
    assert not model[0].weight[~masks["0.weight"]].any()


@pytest.mark.parametrize("given", [None, 3, "adam", nn.Linear(2, 2), [], object(), adam])
def test_what_is_no_optimizer_is_refused(given: object) -> None:
    model = net()
    with pytest.raises(MaskError, match="whatever wraps one"):
        prune(model, sparsity=0.5).freeze(given)


def test_an_optimizer_of_another_net_is_refused_however_it_is_wrapped() -> None:
    model = net()
    masks = prune(model, sparsity=0.5)
    for make in (adam, Plain, Lookahead, MasterWeights):
        with pytest.raises(MaskError, match="trains no masked parameter"):
            masks.freeze(make(copy.deepcopy(model)))


def test_following_a_step_is_undone() -> None:
    optimizer, calls = Plain(net()), []
    undo = after_step(optimizer, lambda: calls.append(1))
    optimizer._hidden.zero_grad()
    optimizer.step()
    undo()
    optimizer.step()
    assert calls == [1]
    assert "step" not in vars(optimizer)


def test_the_outermost_comes_first() -> None:
    optimizer = accelerated(net())
    assert wrapped(optimizer) == [optimizer, optimizer.optimizer]
    assert wrapped([optimizer, optimizer]) == [optimizer, optimizer.optimizer]
