"""The zoo's book: every small topology by name, and the way to build one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Specimen = tuple[nn.Module, Any]
ZOO: dict[str, Callable[[], Specimen]] = {}


class Net(nn.Module):
    """Named layers, and a function that runs them."""

    def __init__(self, run: Callable[..., Any], **layers: Any) -> None:
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self, *args, **kwargs)


def specimen(function: Callable[[], Specimen]) -> Callable[[], Specimen]:
    ZOO[function.__name__] = function
    return function


def grow(name: str, seed: int = 0) -> Specimen:
    """A network of the zoo in float64, with statistics and scales that are not trivial."""
    torch.manual_seed(seed)
    model, example = ZOO[name]()
    model = model.double().eval()
    for path, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if not tensor.is_floating_point():
            continue
        with torch.no_grad():
            if path.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif path.endswith("running_mean") or tensor.dim() == 1:
                tensor.add_(torch.randn_like(tensor) * 0.3)
    return model, _double(example)


def _double(example: Any) -> Any:
    if isinstance(example, Tensor):
        return example.double() if example.is_floating_point() else example
    if isinstance(example, dict):
        return {name: _double(value) for name, value in example.items()}
    return tuple(_double(value) for value in example)


def image(channels: int = 3, size: int = 8, batch: int = 2) -> Tensor:
    return torch.randn(batch, channels, size, size)


def tokens(length: int = 5, width: int = 12, batch: int = 2) -> Tensor:
    return torch.randn(batch, length, width)


def head(width: int, classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))
