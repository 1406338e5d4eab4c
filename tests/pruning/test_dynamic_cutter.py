"""A sparse net whose connections move while it is trained: exact counts, exact zeros."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from secateur.errors import UnknownNameError
from secateur.pruning.dynamic import Dynamic
from secateur.pruning.dynamic_cutter import DynamicCutter, Growth
from secateur.pruning.masks import Masks

OPTIMIZERS: dict[str, Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda own: torch.optim.SGD(own, 0.05, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda own: torch.optim.SGD(own, 0.05, momentum=0.9, nesterov=True),
    "adam": lambda own: torch.optim.Adam(own, 0.01, weight_decay=0.1),
    "adamw": lambda own: torch.optim.AdamW(own, 0.01, weight_decay=0.1),
}
SCHEDULE = Dynamic(end=12, every=3, drop=0.5)
UPDATES = (3, 6, 9)


class Trained:
    """A small net in training, and its masks after each step; step 0 is the start."""

    def __init__(
        self,
        growth: Growth,
        optimizer: str = "sgd",
        schedule: Dynamic = SCHEDULE,
        within: Masks | None = None,
        batches: int = 1,
    ) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 10), nn.ReLU(),
            nn.Linear(10, 3),
        )  # fmt: skip
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        drawn = {
            name: (torch.rand(parameter.shape) < 0.3)
            for name, parameter in self.net.named_parameters()
            if parameter.ndim > 1
        }
        self.masks = [Masks(drawn) if within is None else Masks(drawn).merged(within)]
        self.cutter = DynamicCutter(self.masks[0], schedule, growth, 5, within)
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())
        self.batches = batches
        self.slopes: dict[str, Tensor] = {}
        self.listening: list[bool] = []
        self.cutter.start(self.net, [self.optimizer], 0)

    def loss(self, net: nn.Module) -> Tensor:
        found: Tensor = net(torch.randn(4, 2, 4, 4)).square().mean()
        return found

    def dense_slopes(self) -> dict[str, Tensor]:
        """Of the next step, by a net that nothing holds; the draws are given back."""
        with torch.random.fork_rng([]):
            free = copy.deepcopy(self.net)
            for _ in range(self.batches):
                self.loss(free).backward()  # type: ignore[no-untyped-call]
        named = free.named_parameters()
        return {name: one.grad for name, one in named if one.grad is not None}

    def step(self, number: int) -> Masks:
        weight = self.net[0].weight
        self.listening.append(bool(weight._backward_hooks))
        self.slopes = self.dense_slopes()
        for _ in range(self.batches):
            self.loss(self.net).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.cutter.step(self.net, [self.optimizer], number)
        assert self.cutter.masks is not None
        self.masks.append(self.cutter.masks)
        return self.cutter.masks

    def run(self, steps: int = 12) -> Trained:
        for number in range(1, steps + 1):
            self.step(number)
        return self


def counts(masks: Masks) -> dict[str, int]:
    return {name: int(mask.sum()) for name, mask in masks.items()}


def bits_of_zeros(net: nn.Module, masks: Masks) -> bool:
    """Whether any pruned element is anything but +0."""
    own = dict(net.named_parameters())
    return any(
        bool(own[name].detach()[~mask].view(torch.int32).any()) for name, mask in masks.items()
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("growth", ["random", "gradient"])
def test_every_layer_keeps_its_count_at_every_step_and_masks_change_at_updates_alone(
    growth: Growth, optimizer: str
) -> None:
    trained = Trained(growth, optimizer)
    for number in range(1, 13):
        masks = trained.step(number)
        assert counts(masks) == counts(trained.masks[0])
        assert (masks != trained.masks[number - 1]) == (number in UPDATES)
        assert not bits_of_zeros(trained.net, masks)


def test_what_moves_is_what_the_schedule_says() -> None:
    trained = Trained("gradient").run(9)
    for before, after, step in zip((2, 5, 8), UPDATES, UPDATES, strict=True):
        for name, kept in counts(trained.masks[0]).items():
            gone = int((trained.masks[before][name] & ~trained.masks[after][name]).sum())
            # Some that were dropped may have grown again at once.
            assert gone <= SCHEDULE.moved(step, kept)
    assert SCHEDULE.moved(3, 40) == 17  # 0.25 (1 + cos 45 degrees) = 0.427


@pytest.mark.parametrize("batches", [1, 2])
def test_those_of_the_steepest_slope_grow_over_all_batches_of_the_step(batches: int) -> None:
    trained = Trained("gradient", batches=batches).run(2)
    before = trained.step(3) and trained.masks[2]
    after, own = trained.masks[3], dict(trained.net.named_parameters())
    for name, mask in after.items():
        slope, grown = trained.slopes[name].abs(), mask & ~before[name]
        assert bool(grown.any())
        assert float(slope[grown].min()) >= float(slope[~mask & ~before[name]].max())
        # What has grown starts at zero, and the optimizer knows nothing of it.
        assert not own[name].detach()[grown].view(torch.int32).any()
        assert not trained.optimizer.state[own[name]]["momentum_buffer"][grown].any()


def test_the_smallest_weights_are_dropped_and_forgotten() -> None:
    trained = Trained("random", "adam").run(2)
    weights: dict[str, Tensor] = {}

    def noted(*_: object) -> None:
        weights.update({k: v.detach().clone() for k, v in trained.net.named_parameters()})

    trained.optimizer.register_step_post_hook(noted)
    trained.step(3)
    before, after = trained.masks[2:4]
    for name, mask in after.items():
        dropped = before[name] & ~mask
        stays = int(before[name].sum()) - SCHEDULE.moved(3, int(before[name].sum()))
        largest = weights[name][before[name]].abs().sort(descending=True).values[:stays]
        assert bool(dropped.any())
        assert float(weights[name][dropped].abs().max()) < float(largest.min())
        state = trained.optimizer.state[dict(trained.net.named_parameters())[name]]
        assert not state["exp_avg"][dropped].any()
        assert not state["exp_avg_sq"][dropped].any()


def test_dense_gradients_are_kept_only_in_the_step_before_an_update() -> None:
    assert Trained("gradient").run().listening == [step in UPDATES for step in range(1, 13)]
    assert not any(Trained("random").run().listening)


@pytest.mark.parametrize("growth", ["random", "gradient"])
def test_the_same_training_gives_the_same_bits(growth: Growth) -> None:
    first, second = (Trained(growth).run() for _ in range(2))
    assert first.masks == second.masks
    pairs = zip(first.net.parameters(), second.net.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_draws_differ_from_update_to_update_and_from_layer_to_layer() -> None:
    trained = Trained("random", schedule=Dynamic(end=100, every=1, drop=0.9)).run(2)
    grown = [now["3.weight"] & ~then["3.weight"]
             for then, now in zip(trained.masks, trained.masks[1:], strict=False)]  # fmt: skip
    assert not torch.equal(*grown)


@pytest.mark.parametrize("growth", ["random", "gradient"])
def test_nothing_grows_where_it_was_cut_before(growth: Growth) -> None:
    halves = Masks({"3.weight": torch.arange(240).reshape(10, 24) % 24 < 12})
    trained = Trained(growth, within=halves).run()
    assert all(masks.is_within(halves) for masks in trained.masks)
    assert trained.masks[-1]["3.weight"].sum() == trained.masks[0]["3.weight"].sum()
    assert trained.masks[-1] != trained.masks[0]


def test_slopes_that_are_not_finite_are_waited_out() -> None:
    """As after an overflow in half precision, where the optimizer makes no step."""
    trained = Trained("gradient").run(2)
    (trained.loss(trained.net) * float("inf")).backward()  # type: ignore[no-untyped-call]
    trained.optimizer.zero_grad()
    trained.cutter.step(trained.net, [trained.optimizer], 3)
    assert trained.cutter.masks == trained.masks[2]
    moved = trained.step(4)
    assert moved != trained.masks[2]
    assert trained.step(5) == moved
    assert counts(moved) == counts(trained.masks[0])


@pytest.mark.parametrize("growth", ["random", "gradient"])
def test_a_layer_that_is_not_trained_keeps_its_connections(growth: Growth) -> None:
    trained = Trained(growth)
    trained.net[0].weight.requires_grad_(False)
    first, last = trained.masks[0], trained.run().masks[-1]
    assert torch.equal(first["0.weight"], last["0.weight"])
    assert not torch.equal(first["3.weight"], last["3.weight"])


def test_nothing_is_listened_to_once_it_is_stopped() -> None:
    trained = Trained("gradient").run(2)
    trained.cutter.stop()
    assert not trained.net[0].weight._backward_hooks
    trained.loss(trained.net).backward()  # type: ignore[no-untyped-call]
    assert trained.net[0].weight.grad is not None
    assert bool((trained.net[0].weight.grad != 0)[~trained.masks[2]["0.weight"]].any())


def test_an_unknown_growth_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'gradient'"):
        DynamicCutter(Masks({}), SCHEDULE, "gradients")  # type: ignore[arg-type]
