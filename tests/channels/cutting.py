"""Random cuts, and what it means for two networks to be the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from secateur.channels import Compaction
from secateur.pruning.groups import Groups


def random_masks(
    model: nn.Module, groups: Groups, ratio: float, seed: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Masks of some random groups (at least one), never all of any axis."""
    generator = torch.Generator().manual_seed(seed)
    dead = torch.rand(groups.count, generator=generator) < ratio
    dead[int(torch.randint(groups.count, (1,), generator=generator))] = True
    for slot in groups.slots:
        if bool((slot.groups >= 0).all()) and bool(dead[slot.groups].all()):
            dead[slot.groups[0]] = False
    masks = {
        name: torch.ones_like(parameter, dtype=torch.bool)
        for name, parameter in model.named_parameters()
    }
    for slot in groups.slots:
        if slot.role != "read":
            gone = (slot.groups >= 0) & dead[slot.groups.clamp(min=0)]
            masks[slot.parameter].movedim(slot.axis, 0)[gone] = False
    return masks, dead


def masked_copy(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    masked = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in masked.named_parameters():
            if name in masks:
                parameter.mul_(masks[name])
    return masked


def leaves(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    if tree is None:
        return []
    values = tree.values() if isinstance(tree, dict) else tree
    return [leaf for value in values for leaf in leaves(value)]


def run(model: nn.Module, example: Any) -> list[Tensor]:
    if isinstance(example, Tensor):
        return leaves(model(example.clone()))
    if isinstance(example, dict):
        return leaves(model(**example))
    return leaves(model(*example))


def assert_same(
    model: nn.Module, masks: Mapping[str, Tensor], record: Compaction, example: Any
) -> None:
    """Outputs and gradients of what was kept agree to 1e-10."""
    masked, small = masked_copy(model, masks), record.model
    expected, given = run(masked, example), run(small, example)
    for left, right in zip(given, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-10)
    for outputs in (expected, given):
        sum(
            (
                output * torch.linspace(0.5, 1, output.numel(), dtype=output.dtype).view_as(output)
            ).sum()
            for output in outputs
        ).backward()
    gradients = {name: parameter.grad for name, parameter in masked.named_parameters()}
    for name, parameter in small.named_parameters():
        if name in gradients:
            full = gradients[name]
            if parameter.grad is not None and full is not None:
                torch.testing.assert_close(
                    parameter.grad, record.shrink(name, full), rtol=1e-9, atol=1e-10
                )
