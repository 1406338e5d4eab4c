"""Families of `transformers`, cut, come back in a fresh process, bit by bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from coming_back import Journey, travel
from families import FAMILIES
from torch import Tensor, nn

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")

# One of each kind; all of them together take minutes.
NAMES = ["bert", "gpt2", "llama", "regnet", "segformer", "swin", "t5_encoder", "vit"]


def grow(name: str, seed: int) -> tuple[nn.Module, dict[str, Any]]:
    torch.manual_seed(seed)
    model, inputs = FAMILIES[name]()
    if seed:
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.5)
    doubled = {
        key: value.double() if isinstance(value, Tensor) and value.is_floating_point() else value
        for key, value in inputs.items()
    }
    return model.double().eval(), doubled


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    return travel("test_families", grow, NAMES, tmp_path_factory.mktemp("families"))


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_family_comes_back_in_a_fresh_process(journey: Journey, name: str) -> None:
    assert journey.read[name] == journey.saved[name]
