"""Operators of one's own: taught from outside, exact where they are right, caught where not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.channels import register_operator
from secateur.channels.operators.registry import OPERATORS, Operator
from secateur.errors import UnknownNameError, UsageError

HALVED = "secateur_tests::halved"
REVERSED = "secateur_tests::reversed_channels"


@torch.library.custom_op(HALVED, mutates_args=())
def halved(x: Tensor) -> Tensor:
    return x / 2


@torch.library.custom_op(REVERSED, mutates_args=())
def reversed_channels(x: Tensor) -> Tensor:
    return x.flip(1)


for operation in (halved, reversed_channels):
    operation.register_fake(torch.empty_like)


class Net(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 2, 3)
        self.operation = getattr(torch.ops.secateur_tests, name.partition("::")[2])

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.operation(self.b(self.a(x).relu())))


EXAMPLE = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(before)


def cut(net: nn.Module) -> tuple[secateur.Masks, nn.Module]:
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, example_inputs=EXAMPLE)
    small = secateur.compact(net, masks, EXAMPLE)
    with torch.no_grad():
        assert torch.allclose(small(EXAMPLE), net(EXAMPLE), atol=1e-5)
    return masks, small


def test_what_nobody_knows_is_pinned() -> None:
    masks, small = cut(Net(HALVED))
    assert small.b.out_channels == 8
    assert any(HALVED in pin.operator for pin in masks.report)


def test_what_is_taught_is_cut() -> None:
    register_operator(HALVED, like="neg")
    masks, small = cut(Net(HALVED))
    assert small.b.out_channels < 8
    assert not any(HALVED in pin.operator for pin in masks.report)


def test_a_rule_of_ones_own() -> None:
    register_operator(
        HALVED, lambda call: call.layout(call.args[0]), follows_any_cut=True, keeps_zero=True
    )
    assert cut(Net(HALVED))[1].b.out_channels < 8


def test_a_wrong_rule_never_makes_another_function() -> None:
    register_operator(REVERSED, like="neg")
    net = Net(REVERSED)
    torch.manual_seed(1)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    _, small = cut(net)
    assert small.b.out_channels == 8 or small.c.in_channels == small.b.out_channels


def test_a_rule_that_fails_pins_what_it_touched() -> None:
    def rule(call: object) -> None:
        raise KeyError("mine")

    register_operator(HALVED, rule)  # type: ignore[arg-type]
    masks, small = cut(Net(HALVED))
    assert small.b.out_channels == 8
    assert any("KeyError in its rule" in pin.operator for pin in masks.report)


@pytest.mark.parametrize(
    ("name", "rule", "like", "said"),
    [
        ("relu", None, "silu", "the name is 'relu', expected a new one"),
        ("", None, "silu", "the name is ''"),
        (HALVED, None, "", "given twice or not at all"),
        (HALVED, print, "relu", "given twice or not at all"),
        (HALVED, 3, "", "the rule is a int"),
    ],
)
def test_what_is_no_operator_is_refused(name: str, rule: object, like: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        register_operator(name, rule, like=like)  # type: ignore[arg-type]


def test_a_misspelt_model_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'relu'"):
        register_operator(HALVED, like="rellu")


def test_every_entry_is_an_operator() -> None:
    assert all(isinstance(entry, Operator) for entry in OPERATORS.values())
