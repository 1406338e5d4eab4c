"""Dropout ratio: a net that was cut drops less, for it has fewer connections to spare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from secateur.foundation.run_example import Inputs, run_example

_STEPS = 256
"""Probabilities are rounded to what `byte_dropout` draws by the byte."""


def connections(model: nn.Module) -> dict[str, int]:
    """How many connections each module with a weight has, those that are zero included."""
    return {name: weight.numel() for name, weight in _weights(model)}


def dropout_ratios(model: nn.Module, example: Inputs, dense: Mapping[str, int]) -> dict[str, float]:
    """The probability of each `nn.Dropout` of a net that was cut.

    `p sqrt(C / C_dense)`, with `C` the connections of the layer that reads what is dropped (Han et
    al. 2015, arXiv 1506.02626, section 3.2): the next module with a weight in the order of the
    forward pass. What no such module reads, and dropout that is no module, stays as it is.

    Args:
        model: The net as it is retrained: compact or on its masks.
        example: A batch that it accepts.
        dense: `connections` of the net before any channel was taken out.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))
        >>> dense = connections(net)
        >>> with torch.no_grad():
        ...     net[1].weight[:, :3] = 0
        >>> dropout_ratios(net, torch.ones(1, 4), dense)
        {'0': 0.25}
    """
    found: dict[str, float] = {}
    waiting: list[str] = []
    left = {name: int(weight.count_nonzero()) for name, weight in _weights(model)}
    modules = dict(model.named_modules())
    for name in _called(model, example):
        module = modules[name]
        if isinstance(module, nn.modules.dropout._DropoutNd):
            waiting.append(name)
        elif name in left and dense.get(name):
            share = math.sqrt(min(1.0, left[name] / dense[name]))
            for one in waiting:
                before = float(modules[one].p)
                found.setdefault(one, round(_STEPS * before * share) / _STEPS)
            waiting.clear()
    return found


@contextmanager
def dropping(model: nn.Module, ratios: Mapping[str, float]) -> Iterator[None]:
    """While it lasts, the named dropout layers have these probabilities."""
    layers = {name: model.get_submodule(name) for name in ratios}
    before = {name: layer.p for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.p = ratios[name]  # type: ignore[assignment]
    try:
        yield
    finally:
        for name, layer in layers.items():
            layer.p = before[name]


def _called(model: nn.Module, example: Inputs) -> list[str]:
    """The names of the modules, in the order in which a pass calls them."""
    names: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: names.append(name))
        for name, module in model.named_modules()
    ]
    try:
        run_example(model, example)
    finally:
        for hook in hooks:
            hook.remove()
    return names


def _weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, module in model.named_modules():
        weight = module._parameters.get("weight")
        if weight is not None and weight.dim() > 1:
            yield name, weight
