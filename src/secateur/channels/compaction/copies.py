"""Copies of a network: the masked one, and the compact one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from secateur.channels.compaction.bias_folding import Fold, apply_folds
from secateur.channels.rebuild import rebuild, take
from secateur.channels.tracing.module_numbers import Numbers, set_numbers
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.truth import all_true, any_true

FEW = 1 << 12


def masked_copy(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """The network with zeros where the masks say so; what they leave whole is shared with it."""
    tensors = {}
    for name, tensor in model.named_parameters():
        value = tensor.detach()
        if name in masks and not all_true(masks[name]):
            mask = masks[name].to(value.device)
            if _is_unmasked(value, mask):
                value = torch.where(mask, value, 0)
        tensors[name] = value
    return rebuild(model, tensors)


def _is_unmasked(value: Tensor, mask: Tensor) -> bool:
    """Whether anything but zeros lies where the mask is False; a few are asked before all."""
    step = max(1, value.numel() // FEW)
    few = value.reshape(-1)[::step].bool() > mask.reshape(-1)[::step]
    return any_true(few) or any_true(value.bool() > mask)


def build(
    model: nn.Module,
    masked: nn.Module,
    kept: Mapping[str, Mapping[int, Tensor]],
    folds: list[Fold],
    numbers: Numbers,
) -> nn.Module:
    """The compact network, with no tensor of the caller's in it."""
    full = dict(own_tensors(model))
    tensors = {}
    for name, tensor in own_tensors(masked):
        value = take(tensor.detach(), kept.get(name, {}))
        shared = value.data_ptr() in (full[name].data_ptr(), tensor.data_ptr())
        tensors[name] = value.clone() if shared else value
    small = rebuild(model, tensors)
    rows = {
        name.removesuffix(".weight"): axes[0]
        for name, axes in kept.items()
        if name.endswith(".weight") and 0 in axes
    }
    apply_folds(small, folds, rows)
    set_numbers(small, numbers)
    return small.eval()
