from __future__ import annotations

import pytest
import torch
from torch import nn

from secateur.errors import MaskError
from secateur.pruning.patterns import Pattern, PatternIndex


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.scale = nn.Parameter(torch.ones(2))


class Special(Block):
    """A block by another name."""


def net() -> nn.Module:
    model = nn.Module()
    model.features = nn.Sequential(Block(), Special(), nn.Conv2d(2, 2, 1, bias=False))
    model.fc = nn.Linear(2, 2)
    model.head = nn.Linear(2, 2, bias=False)
    model.head.weight = model.fc.weight
    return model


NORM = ["conv1.weight", "conv1.bias", "norm.weight", "norm.bias", "scale"]
FOUND: dict[Pattern, set[str]] = {
    "fc.weight": {"fc.weight"},
    "fc": {"fc.weight", "fc.bias"},
    "head": {"fc.weight"},
    "head.*": {"fc.weight"},
    "features.2": {"features.2.weight"},
    "features.[12]": {"features.2.weight", *(f"features.1.{name}" for name in NORM)},
    "*.conv1": {f"features.{n}.conv1.{name}" for n in (0, 1) for name in ("weight", "bias")},
    "*.scale": {"features.0.scale", "features.1.scale"},
    "Linear": {"fc.weight", "fc.bias"},
    nn.Linear: {"fc.weight", "fc.bias"},
    "Block": {f"features.{n}.{name}" for n in (0, 1) for name in NORM},
    Special: {f"features.1.{name}" for name in NORM},
    "BatchNorm2d": {f"features.{n}.norm.{name}" for n in (0, 1) for name in ("weight", "bias")},
    "Conv": set(),
    "conv1": set(),
    "FC": set(),
    "": set(),
    nn.Embedding: set(),
}


@pytest.mark.parametrize("pattern", FOUND, ids=str)
def test_what_a_pattern_means(pattern: Pattern) -> None:
    model = net()
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {named[number] for number in PatternIndex(model).find(pattern)} == FOUND[pattern]


def test_everything() -> None:
    model = net()
    assert PatternIndex(model).find("*") == {id(parameter) for parameter in model.parameters()}


def test_a_computed_weight_has_its_own_name_too() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    model = nn.Sequential(layer)
    index = PatternIndex(model)
    made_of = {id(one) for one in layer.parametrizations.weight.parameters()}
    assert index.find("0.weight") == made_of
    assert index.find("Linear") == made_of | {id(layer.bias)}


def test_a_wrapped_network_is_known_by_its_own_names() -> None:
    inner = net()
    index = PatternIndex(nn.DataParallel(inner))
    assert index.find("fc") == {id(inner.fc.weight), id(inner.fc.bias)}
    assert index.find("module.fc.weight") == {id(inner.fc.weight)}
    assert len(index.find("Block")) == 10


@pytest.mark.parametrize(
    ("pattern", "near"),
    [
        ("fcc", "'fc'"),
        ("conv2d", "'Conv2d'"),
        ("featurs.*", "'features.*'"),
        (nn.Embedding, ""),
        ("conv1", "'features.0.conv1'"),
        ("scal", "'features.0.scale'"),
    ],
)
def test_the_nearest_names_are_said(pattern: Pattern, near: str) -> None:
    error = PatternIndex(net()).refused("exclude", pattern)
    assert isinstance(error, MaskError)
    assert error.subject == "exclude"
    assert near in error.remedy
    assert ("Did you mean" in error.remedy) == bool(near)
