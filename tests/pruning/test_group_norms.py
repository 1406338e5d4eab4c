"""Norms of channel groups, and the penalty that makes the small ones smaller."""

import numpy as np
import pytest
import torch
from torch import nn

from secateur.pruning.group_norms import GroupNorms, each_place
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.method import find_method
from secateur.verbs.units import groups_of

PART = find_method("group-lasso").parts[0]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.Flatten(),
        nn.Linear(16, 2),
    ).double()  # fmt: skip


def traced(model: nn.Module) -> Groups:
    return groups_of(model, PART, torch.zeros(1, 2, 4, 4, dtype=torch.float64))


def numbers(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in model.named_parameters()}


def squares(model: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """What each channel of the two convolutions has in all, written out."""
    w = numbers(model)
    first = [
        (w["0.weight"][k] ** 2).sum() + w["0.bias"][k] ** 2 + w["1.weight"][k] ** 2
        + w["1.bias"][k] ** 2 + (w["3.weight"][:, k] ** 2).sum()
        for k in range(3)
    ]  # fmt: skip
    # Four pixels of each channel reach the linear layer, side by side.
    second = [
        (w["3.weight"][k] ** 2).sum() + w["3.bias"][k] ** 2
        + (w["5.weight"][:, 4 * k : 4 * k + 4] ** 2).sum()
        for k in range(4)
    ]  # fmt: skip
    return np.array(first), np.array(second)


def strengths(found: np.ndarray) -> np.ndarray:
    return np.asarray(2 ** (4 * (found.max() - found) / (found.max() - found.min())))


def test_norms_are_of_every_place_of_a_channel() -> None:
    model = net()
    nn.init.uniform_(model.get_parameter("1.bias"))
    found = GroupNorms(model, traced(model)).squared().detach().numpy()
    np.testing.assert_allclose(found, np.concatenate(squares(model)), rtol=1e-13)


def test_the_penalty_and_its_gradient_are_those_of_the_formula() -> None:
    model = net()
    nn.init.uniform_(model.get_parameter("1.weight"))
    penalty = GroupNorms(model, traced(model)).penalty()
    penalty.backward()  # type: ignore[no-untyped-call]
    first, second = squares(model)
    one, two = strengths(first), strengths(second)
    assert penalty.item() == pytest.approx((one * first).sum() + (two * second).sum(), rel=1e-13)
    assert (one.min(), one.max(), two.min(), two.max()) == (1, 16, 1, 16)
    w = numbers(model)
    gradients = {
        "0.weight": 2 * one[:, None, None, None] * w["0.weight"],
        "0.bias": 2 * one * w["0.bias"],
        "1.weight": 2 * one * w["1.weight"],
        "1.bias": 2 * one * w["1.bias"],
        # It computes the one channels and reads the others.
        "3.weight": 2 * (two[:, None] + one[None, :])[:, :, None, None] * w["3.weight"],
        "3.bias": 2 * two * w["3.bias"],
        "5.weight": 2 * np.repeat(two, 4)[None, :] * w["5.weight"],
    }
    for name, parameter in model.named_parameters():
        if name == "5.bias":
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), gradients[name], rtol=1e-12)


def small(rows: list[list[float]], groups: list[int], count: int) -> GroupNorms:
    model = nn.Linear(len(rows[0]), len(rows), bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor(rows))
    slot = Slot("weight", 0, torch.tensor(groups), "write")
    return GroupNorms(model, Groups(("",), torch.zeros(count, dtype=torch.int64), (slot,)))


def test_by_hand() -> None:
    """Squares 1, 2 and 5: gamma is 16, 2 ** 3 and 1."""
    norms = small([[1, 0], [1, 1], [2, 1]], [0, 1, 2], 3)
    assert norms.squared().tolist() == [1, 2, 5]
    assert norms.penalty().item() == 16 * 1 + 8 * 2 + 1 * 5


def test_groups_that_are_alike_are_shrunk_alike_and_gently() -> None:
    assert small([[2, 0], [0, 2]], [0, 1], 2).penalty().item() == 8.0


def test_a_group_without_a_place_weakens_no_other() -> None:
    """Held by the choice of layers, it is no smallest group; its rows are nobody's."""
    norms = small([[9, 9], [1, 1], [2, 0]], [-1, 1, 2], 3)
    assert norms.squared().tolist() == [0, 2, 4]
    assert norms.penalty().item() == 16 * 2 + 1 * 4


def test_layers_have_strengths_of_their_own() -> None:
    slot = Slot("weight", 0, torch.arange(4), "write")
    model = nn.Linear(1, 4, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0], [2.0], [10.0], [20.0]]))
    norms = GroupNorms(model, Groups(("a", "b"), torch.tensor([0, 0, 1, 1]), (slot,)))
    assert norms.penalty().item() == 16 * 1 + 4 + 16 * 100 + 400


def test_a_parameter_that_stands_in_two_layers_counts_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
    model[2].weight = model[0].weight
    groups = torch.arange(3)
    slots = tuple(Slot(f"{layer}.weight", 0, groups, "write") for layer in (0, 2))
    found = each_place(model, Groups(("0",), torch.zeros(3, dtype=torch.int64), slots))
    assert [slot.parameter for slot, _ in found] == ["0.weight"]
