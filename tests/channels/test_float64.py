"""InFloat64: the arithmetic of the float64 network, without its memory."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from zoo import Net

from secateur.channels import float64
from secateur.channels.float64 import InFloat64, Widener, double


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)
    ).eval()


@pytest.mark.parametrize("kept", [0, 40, 1 << 25])
def test_it_computes_as_the_float64_network(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float64, "KEPT_ELEMENTS", kept)
    model, example = network(), torch.randn(2, 3, 4, 4)
    expected = copy.deepcopy(model).double()(example.double())
    with InFloat64(model):
        given = model(double(example))
    assert torch.equal(given, expected)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_nested_arguments_are_doubled() -> None:
    torch.manual_seed(0)
    model, example = nn.LSTM(3, 4), torch.randn(5, 1, 3)
    expected, _ = copy.deepcopy(model).double()(example.double())
    with InFloat64(model):
        given, _ = model(double(example))
    assert torch.equal(given, expected)


def test_the_code_sees_the_type_that_it_computes_in() -> None:
    model = Net(
        lambda m, x: functional.linear(x.to(m.a.weight.dtype), m.a.weight), a=nn.Linear(2, 2)
    )
    with InFloat64(model):
        assert model(torch.ones(1, 2)).dtype == torch.float64


def test_only_so_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(float64, "KEPT_ELEMENTS", 40)
    model = nn.Sequential(nn.Linear(4, 8, bias=False), nn.Linear(8, 2, bias=False))
    doubler = Widener(model)
    first, second = (
        [doubler.tree((layer.weight,))[0] for layer in model.children()] for _ in range(2)
    )
    assert first[0] is second[0]
    assert first[1] is not second[1]


def test_inputs_keep_their_shape_and_their_numbers() -> None:
    given = double({"image": torch.ones(1), "ids": torch.tensor([1]), "flag": True})
    assert [given["image"].dtype, given["ids"].dtype, given["flag"]] == [
        torch.float64,
        torch.int64,
        True,
    ]
