"""Compaction: the same function in smaller tensors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.classes import roles_of
from secateur.channels.compaction import Compaction
from secateur.channels.constants import used_slices
from secateur.channels.doubling import double
from secateur.channels.folding import (
    Fold,
    apply_folds,
    find_folds,
    foldable_weights,
    round_folds,
)
from secateur.channels.layout import Flags
from secateur.channels.record import Inputs
from secateur.channels.rehearsal import Cut, set_attributes
from secateur.channels.removal import removable
from secateur.channels.settle import ROUNDS, rehearse_cut, settle
from secateur.channels.settled import Settled, is_sized
from secateur.channels.surgery import rebuild, take
from secateur.channels.trace import Trace
from secateur.channels.verify import check_equal
from secateur.errors import ChannelError


def compact(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example_inputs: Inputs,
    *,
    traced: Trace | None = None,
) -> nn.Module:
    """Take the channels that masks have emptied out of a network, exactly.

    Args:
        model: The network; it is not touched.
        masks: By parameter name, bool of the parameter's shape, True where kept. Any subset of
            the parameters.
        example_inputs: A tensor, a tuple of positional inputs, or a dict of keyword inputs.
        traced: What `trace` found of this network on these inputs; saves finding it again.

    Returns:
        A new network of the same class, which computes what the masked one does.

    Raises:
        ChannelError: The masks do not fit, a layer would lose all its channels, the network
            cannot be traced, or the result would not be the same function.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> mask = torch.tensor([True, False, True, True])
        >>> masks = {"0.weight": mask[:, None].expand(4, 2), "0.bias": mask}
        >>> compact(net, masks, torch.zeros(1, 2))[0]
        Linear(in_features=2, out_features=3, bias=True)
    """
    return compact_with_record(model, masks, example_inputs, traced=traced).model


def compact_with_record(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example_inputs: Inputs,
    *,
    fold: bool = True,
    verify: bool = True,
    traced: Trace | None = None,
) -> Compaction:
    """As `compact`, with the record of what was cut.

    Args:
        model: The network; it is not touched.
        masks: By parameter name, bool of the parameter's shape, True where kept.
        example_inputs: A tensor, a tuple of positional inputs, or a dict of keyword inputs.
        fold: Let biases take over constants other than zero; without, the record's `expand` is
            exact.
        verify: Compare the two networks in float64 before returning.
        traced: What `trace` found of this network on these inputs; saves finding it again.

    Raises:
        ChannelError: As for `compact`.
    """
    check_masks(model, masks)
    masked = _masked(model, masks).eval()
    settled = settle(
        masked, example_inputs, constants=True, known=traced.settled if traced else None
    )
    foldable = foldable_weights(masked, settled.tape) if fold else frozenset()
    cut = _plan(masked, double(example_inputs), settled, foldable)
    kept = kept_indices(cut)
    folds = find_folds(masked, cut.tape, cut.classes, cut.gone, foldable)
    small = _cut(model, masked, kept, folds).eval()
    set_attributes(small, settled.attributes, cut)
    if verify:
        check_equal(masked, small, double(example_inputs), cut)
    round_folds(small, folds)
    for module, own in zip(model.modules(), small.modules(), strict=True):
        own.training = module.training
    names = WeakIdKeyDictionary({parameter: name for name, parameter in model.named_parameters()})
    return Compaction(small, kept, settled.classes.report, names)


def _plan(masked: nn.Module, example: Inputs, settled: Settled, foldable: frozenset[str]) -> Cut:
    """Which classes go; those that the network's own code cannot follow stay."""
    classes = settled.classes
    for _ in range(ROUNDS):
        gone = removable(settled.tape, classes, foldable=foldable)
        gone &= ~_unread_layers(masked, settled, gone)
        cut = Cut(settled.tape, classes, gone)
        kept_indices(cut)
        failures = rehearse_cut(masked, example, settled, cut) if is_sized(settled, gone) else []
        if not failures:
            break
        for number in failures:
            step = settled.tape.steps[number]
            for layout in [*step.inputs, *(layout for layout, *_ in step.outputs)]:
                for axis in layout.axes:
                    if axis is not None:
                        classes.pinned[classes.of(axis.labels)] = True
    return cut


def _unread_layers(masked: nn.Module, settled: Settled, gone: Flags) -> Flags:
    """Channels that masks have not emptied, in layers that nobody reads: dead code stays."""
    stays = np.zeros_like(gone)
    roles = roles_of(settled.tape)
    parameters = dict(masked.named_parameters())
    for name, parameter in parameters.items():
        for position, axis in enumerate(settled.tape.parameters[name].axes):
            if axis is None or roles[name, position] != "write":
                continue
            members = settled.classes.of(axis.labels)
            if gone[members].all():
                stays[members[used_slices(parameter, position)]] = True
    return stays


def check_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Masks must be bool, and of this network.

    Raises:
        ChannelError: They are not.
    """
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, mask in masks.items():
        problem = ""
        if name not in parameters:
            problem = "a mask of no parameter"
        elif mask.shape != parameters[name].shape:
            problem = f"of shape {tuple(mask.shape)}"
        elif mask.dtype != torch.bool:
            problem = f"of type {mask.dtype}"
        if problem:
            expected = (
                f"bool of shape {tuple(parameters[name].shape)}"
                if name in parameters
                else "masks of this network"
            )
            raise ChannelError(
                "compaction",
                f"the mask {name}",
                given=problem,
                expected=expected,
                remedy="Pass the masks that were made for this network.",
            )


def kept_indices(cut: Cut) -> dict[str, dict[int, Tensor]]:
    """What stays of each parameter and buffer, along each axis that loses something.

    Raises:
        ChannelError: An axis would lose everything.
    """
    kept: dict[str, dict[int, Tensor]] = {}
    for name, layout in cut.tape.parameters.items():
        for position, axis in enumerate(layout.axes):
            if axis is None:
                continue
            stays = ~cut.gone[cut.classes.of(axis.labels)]
            if stays.all():
                continue
            if not stays.any():
                raise ChannelError(
                    "compaction",
                    name.rpartition(".")[0] or name,
                    given="a layer that would lose all its channels",
                    expected="at least one that stays",
                    remedy="Prune it less; a floor of one channel a layer is enough.",
                )
            kept.setdefault(name, {})[position] = torch.from_numpy(np.flatnonzero(stays))
    return kept


def _masked(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """The network with zeros where the masks say so; what they leave whole is shared with it."""
    tensors = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        value = tensor.detach()
        if name in masks and not bool(masks[name].all()):
            value = torch.where(masks[name].to(value.device), value, 0)
        tensors[name] = value
    return rebuild(model, tensors)


def _cut(
    model: nn.Module,
    masked: nn.Module,
    kept: Mapping[str, Mapping[int, Tensor]],
    folds: list[Fold],
) -> nn.Module:
    """The compact network, with no tensor of the caller's in it."""
    full = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    tensors = {}
    for name, tensor in [*masked.named_parameters(), *masked.named_buffers()]:
        value = take(tensor.detach(), kept.get(name, {}))
        shared = value.data_ptr() == full[name].data_ptr()
        tensors[name] = value.clone() if shared else value
    small = rebuild(model, tensors)
    rows = {
        name.removesuffix(".weight"): axes[0]
        for name, axes in kept.items()
        if name.endswith(".weight") and 0 in axes
    }
    apply_folds(small, folds, rows)
    return small
