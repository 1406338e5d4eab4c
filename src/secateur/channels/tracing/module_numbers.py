"""Module numbers: attributes that count channels, and what a cut makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.labels.events import Attribute
from secateur.channels.tracing.cut import Cut

Numbers = dict[tuple[str, str], Any]


def numbers_of(model: nn.Module, cut: Cut, attributes: Sequence[Attribute]) -> Numbers:
    """What the modules' own numbers become after a cut.

    Args:
        model: A network with the numbers as they were.
        cut: The cut.
        attributes: Those that follow it beside those that rules know.
    """
    numbers: Numbers = {}
    for attribute in [*cut.tape.counts.values(), *attributes]:
        key = attribute.path, attribute.name
        value: Any = cut.count(attribute.labels)
        if attribute.item is not None:
            known = numbers.get(key, getattr(model.get_submodule(attribute.path), attribute.name))
            items = list(known)
            items[attribute.item] = value
            value = type(known)(items)
        numbers[key] = value
    return numbers


def orders_of(model: nn.Module, cut: Cut) -> Numbers:
    """What becomes of the buffers that list channels: those that stay, numbered anew."""
    numbers: Numbers = {}
    buffers = dict(model.named_buffers())
    for name, labels in cut.tape.orders.items():
        stays = np.flatnonzero(~cut.gone[cut.classes.of(labels)])
        own = cut.tape.parameters[name].axes[0]
        if own is None or stays.size == labels.size:
            continue
        listed = buffers[name].cpu().numpy()[~cut.gone[cut.classes.of(own.labels)]]
        path, _, attribute = name.rpartition(".")
        anew = torch.from_numpy(np.searchsorted(stays, listed))
        numbers[path, attribute] = anew.to(buffers[name].device, buffers[name].dtype)
    return numbers


def set_numbers(model: nn.Module, numbers: Numbers) -> None:
    """Give modules the numbers that follow a cut."""
    for (path, name), value in numbers.items():
        own = value.clone() if isinstance(value, Tensor) else value
        setattr(model.get_submodule(path), name, own)


def candidates(model: nn.Module, cut: Cut, number: int) -> list[Attribute]:
    """Attributes that may count what a failing step counts: same module, same number."""
    step = cut.tape.steps[number]
    found = []
    lengths = [
        *(axis.labels for layout, _, _ in step.outputs for axis in layout.axes if axis is not None),
        *step.lengths,
    ]
    paths = [step.path]
    while paths[-1]:
        paths.append(paths[-1].rpartition(".")[0])
    for path in paths[:2]:
        for name, value in vars(model.get_submodule(path)).items():
            if name == "training" or name.startswith("__"):
                continue
            for item, entry in _numbers(value):
                found += [
                    Attribute(path, name, item, labels)
                    for labels in lengths
                    if labels.size == entry and cut.count(labels) != entry
                ]
    return _distinct(found, cut)


def _numbers(value: Any) -> list[tuple[int | None, int]]:
    if isinstance(value, int) and not isinstance(value, bool):
        return [(None, value)]
    if isinstance(value, tuple | list) and value and all(type(item) is int for item in value):
        return list(enumerate(value))
    return []


def _distinct(found: list[Attribute], cut: Cut) -> list[Attribute]:
    seen: dict[tuple[object, ...], Attribute] = {}
    for one in found:
        seen.setdefault((one.path, one.name, one.item, cut.count(one.labels)), one)
    return list(seen.values())
