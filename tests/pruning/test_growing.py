"""A penalty that grows on what was chosen, until it is cut."""

import numpy as np
import pytest
import torch
from torch import nn

from secateur.pruning.growing import Growing, Late
from secateur.pruning.masks import Masks

KEPT = torch.tensor([[True, False, True], [False, True, True]])
CHOSEN = Masks({"weight": KEPT, "bias": torch.tensor([True, False])})


def net() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def started(cutter: Growing, model: nn.Module) -> torch.optim.Optimizer:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cutter.start(model, [optimizer], 0)
    return optimizer


@pytest.mark.parametrize(
    ("steps", "ceiling", "expected"),
    [
        (10, 2.7, {0: 0.0, 1: 0.3, 3: 0.9, 8: 2.4, 9: 2.7, 10: 0.0, 99: 0.0}),
        (20, 1.8, {1: 0.1, 17: 1.7, 18: 1.8, 19: 1.8, 20: 0.0}),
        (1, 1.0, {0: 0.0, 1: 0.0}),
        (0, 1.0, {0: 0.0}),
    ],
)
def test_it_rises_by_equal_steps_and_stays_for_the_last_tenth(
    steps: int, ceiling: float, expected: dict[int, float]
) -> None:
    cutter = Growing(CHOSEN, steps, ceiling)
    assert {step: cutter.strength(step) for step in expected} == pytest.approx(expected)


def test_value_and_gradient_are_those_of_the_formula() -> None:
    model = net().double()
    cutter = Growing(CHOSEN, 10, ceiling=1.8)
    optimizer = started(cutter, model)
    assert cutter.penalty().item() == 0.0
    cutter.step(model, [optimizer], 4)
    found = cutter.penalty()
    found.backward()  # type: ignore[no-untyped-call]
    strength, going = 1.8 * 4 / 9, ~KEPT.numpy()
    weight, bias = model.weight.detach().numpy(), model.bias.detach().numpy()
    going_bias = np.array([0.0, 1.0])
    expected = strength / 2 * ((weight[going] ** 2).sum() + bias[1] ** 2)
    assert found.item() == pytest.approx(expected, rel=1e-15)
    assert model.weight.grad is not None
    assert model.bias.grad is not None
    np.testing.assert_allclose(model.weight.grad.numpy(), strength * weight * going, rtol=1e-15)
    np.testing.assert_allclose(model.bias.grad.numpy(), strength * bias * going_bias, rtol=1e-15)


def test_by_hand() -> None:
    """Nothing but the penalty, at a rate of 1: w goes to w (1 - lambda), lambda = 0, 1/4, 1/2."""
    model = nn.Linear(2, 1, bias=False)
    nn.init.ones_(model.weight)
    cutter = Growing(Masks({"weight": torch.tensor([[True, False]])}), 5, ceiling=1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    cutter.start(model, [optimizer], 0)
    found = []
    for step in range(1, 7):
        optimizer.zero_grad()
        (cutter.penalty() + 0 * model.weight.sum()).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        cutter.step(model, [optimizer], step)
        found.append(model.weight[0].tolist())
    assert found == [[1, 1], [1, 0.75], [1, 0.375], [1, 0.09375], [1, 0], [1, 0]]
    assert cutter.masks is not None
    assert cutter.masks.zeros == 1


def test_what_was_cut_before_is_held_meanwhile() -> None:
    model = net()
    before = Masks({"weight": torch.tensor([[True, True, False], [True, True, True]])})
    both = before.merged(CHOSEN)
    cutter = Growing(both, 4, ceiling=0.1, previous=before)
    optimizer = started(cutter, model)
    for step in range(1, 6):
        optimizer.zero_grad()
        (model(torch.ones(2, 3)).sum() + cutter.penalty()).backward()
        optimizer.step()
        assert model.weight[0, 2].item() == 0.0
        assert (model.weight[0, 1].item() == 0.0) == (step > 4)
        cutter.step(model, [optimizer], step)
    assert cutter.masks == both
    assert float(cutter.penalty()) == 0.0


class Noted(Growing):
    """Notes how large each channel is just before the cut."""

    def cut(self, model: nn.Module, planned: int) -> Masks:
        self.left = norms(model)
        return super().cut(model, planned)


def norms(model: nn.Module) -> torch.Tensor:
    """Of each channel with its norm: shape `[4]`."""
    conv, norm = (model.get_parameter(name).detach() for name in ("0.weight", "1.weight"))
    return (conv.flatten(1).square().sum(1) + norm.square()).sqrt()


def test_chosen_channels_are_all_but_gone_when_they_are_cut_and_the_others_are_not() -> None:
    torch.manual_seed(0)
    images = torch.randn(16, 1, 5, 5)
    wanted = images.mean((1, 2, 3))
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 1)
    )
    kept, before = torch.tensor([True, False, True, False]), norms(model)
    whole = kept.reshape(4, 1, 1, 1).expand(4, 1, 3, 3)
    names = {"0.weight": whole, "0.bias": kept, "1.weight": kept, "1.bias": kept}
    cutter = Noted(Masks(names), 150, ceiling=1.0)
    optimizer = started(cutter, model)
    for step in range(1, 151):
        optimizer.zero_grad()
        loss = (model(images).squeeze(1) - wanted).square().mean()
        (loss + cutter.penalty()).backward()
        optimizer.step()
        last = loss.item()
        cutter.step(model, [optimizer], step)
    assert bool((cutter.left < 0.02 * before)[~kept].all())
    assert bool((cutter.left > 0.5 * before)[kept].all())
    # The cut changes next to nothing: the net had grown used to it.
    assert (model(images).squeeze(1) - wanted).square().mean().item() == pytest.approx(
        last, abs=1e-3
    )
    assert norms(model)[~kept].tolist() == [0.0, 0.0]


def test_no_step_before_the_cut_is_a_cut_at_once() -> None:
    model = net()
    cutter = Growing(CHOSEN, 0, ceiling=1.0)
    started(cutter, model)
    assert cutter.masks == CHOSEN
    assert float(cutter.penalty()) == 0.0


def test_weights_that_were_made_up_for_others_at_the_choice_are_not_written_after_training() -> (
    None
):
    model, chosen = net(), Masks({"weight": KEPT})
    chosen.rewritten = {"weight": torch.full((2, 3), 7.0)}
    cutter = Growing(chosen, 10, ceiling=1.0)
    optimizer = started(cutter, model)
    trained = model.weight.detach().clone()
    cutter.step(model, [optimizer], 10)
    assert torch.equal(model.weight.detach(), trained * KEPT)


def test_late_the_penalty_grows_on_all_alike_and_then_on_what_is_chosen() -> None:
    """By hand, at a rate of 1 and with a lambda of 0, 1/16, 1/8 and 3/16 until the choice.

    The loss pulls the second weight to 1: it goes to 1 - lambda w, the first one to w (1 - lambda).
    It is kept, although it was the smaller one.
    """
    model = nn.Linear(2, 1, bias=False)
    model.weight.data = torch.tensor([[1.0, 0.75]])
    seen: list[list[float]] = []

    def choose(net: nn.Module) -> Masks:
        weight = net.get_parameter("weight").detach()
        seen.append(weight[0].tolist())
        return Masks({"weight": weight > weight.min()})

    late = Late(0.25, choose)
    cutter = Growing(Masks({"weight": torch.tensor([[True, False]])}), 40, 1.0, late=late)
    assert [cutter.strength(step) for step in (0, 1, 4, 20, 36, 39, 40)] == [
        *(0.0, 0.0625, 0.25, 0.625, 1.0, 1.0, 0.0)
    ]
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    cutter.start(model, [optimizer], 0)
    for step in range(1, 41):
        optimizer.zero_grad()
        pull = (model.weight[0, 1] - 1).square() / 2
        (cutter.penalty() + pull).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        cutter.step(model, [optimizer], step)
    second = 1 - 3 / 16 * (1 - 1 / 8 * (1 - 1 / 16))
    assert seen == [pytest.approx([15 / 16 * 7 / 8 * 13 / 16, second])]
    assert cutter.masks is not None
    assert cutter.masks["weight"].tolist() == [[False, True]]
    assert model.weight[0, 0] == 0
    assert model.weight[0, 1].item() == pytest.approx(1.0, abs=1e-3)


def test_a_late_choice_without_a_step_is_made_at_once() -> None:
    model = net()
    cutter = Growing(CHOSEN, 0, ceiling=1.0, late=Late(0.1, lambda _: CHOSEN))
    started(cutter, model)
    assert cutter.masks == CHOSEN
