"""Nets by the name of their module and class."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch

from foreign.journey import Builder, Net
from foreign.stand_in import stand_in


def picture(*shape: int) -> Callable[[], Any]:
    return lambda: torch.randn(*shape)


def net(module: str, name: str, inputs: Callable[[], Any], *args: Any, **settings: Any) -> Builder:
    def build() -> Net:
        stand_in("torchvision", "torchaudio")
        made = getattr(importlib.import_module(module), name)
        return made(*args, **settings), inputs()

    return build
