"""Operators of one's own: taught from outside, exact where they are right, caught where not."""

from __future__ import annotations

import re
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
COUNTED = "secateur_tests::counted"
PICKY = "secateur_tests::picky"


@torch.library.custom_op(HALVED, mutates_args=())
def halved(x: Tensor) -> Tensor:
    return x / 2


@torch.library.custom_op(REVERSED, mutates_args=())
def reversed_channels(x: Tensor) -> Tensor:
    return x.flip(1)


@torch.library.custom_op(COUNTED, mutates_args=())
def counted(x: Tensor) -> Tensor:
    return x * x.shape[1]


@torch.library.custom_op(PICKY, mutates_args=())
def picky(x: Tensor) -> Tensor:
    if x.dim() != 4:
        raise IndexError("a kernel that takes images only")
    return x / 2


for operation in (halved, reversed_channels, counted, picky):
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


@pytest.mark.parametrize("name", [HALVED, PICKY])
def test_what_is_taught_is_cut(name: str) -> None:
    register_operator(name, like="neg")
    masks, small = cut(Net(name))
    assert small.b.out_channels < 8
    assert not any(name in pin.operator for pin in masks.report)


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
    masks, small = cut(net)
    assert small.b.out_channels > 4  # only a pair that changes places can leave, with the same sum
    assert any("may be non-zero" in pin.operator for pin in masks.report)


@pytest.mark.parametrize("trait", ["follows_any_cut", "keeps_zero", "sums_channels"])
def test_a_wrong_trait_is_caught_with_the_operator_and_the_line(trait: str) -> None:
    register_operator(COUNTED, lambda call: call.layout(call.args[0]), **{trait: True})
    masks, small = cut(Net(COUNTED))
    assert small.b.out_channels == 8
    blamed = rf"{COUNTED} at test_registry.py:\d+ \(another function once cut\)"
    assert any(re.fullmatch(blamed, pin.operator) for pin in masks.report)


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
        (HALVED, None, ["relu"], r"like is \['relu'\]"),
    ],
)
def test_what_is_no_operator_is_refused(name: str, rule: object, like: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        register_operator(name, rule, like=like)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("like", "trait", "claim", "said"),
    [
        ("", "keeps_zero", "no", "keeps_zero is 'no', expected True, False or a function"),
        ("", "sums_channels", print, "sums_channels is .*, expected True or False"),
        ("relu", "keeps_zero", True, "keeps_zero is given beside like='relu'"),
    ],
)
def test_a_claim_that_is_none_is_refused(like: str, trait: str, claim: object, said: str) -> None:
    rule = None if like else (lambda call: call.layout(call.args[0]))
    with pytest.raises(UsageError, match=said):
        register_operator(HALVED, rule, like=like, **{trait: claim})  # type: ignore[arg-type]
    assert HALVED not in OPERATORS


def test_a_misspelt_model_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'relu'"):
        register_operator(HALVED, like="rellu")


def test_every_entry_is_an_operator() -> None:
    assert all(isinstance(entry, Operator) for entry in OPERATORS.values())
