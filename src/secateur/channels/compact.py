"""Compaction: the same function in smaller tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.compaction import Compaction
from secateur.channels.cutting import Cutter
from secateur.channels.folding import round_folds
from secateur.channels.record import Inputs
from secateur.channels.settle import same_pass
from secateur.channels.surgery import named_plainly, uncompiled
from secateur.channels.ties import Pin
from secateur.channels.trace import Trace
from secateur.errors import ChannelError
from secateur.pruning.pinned import Report


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
    model, masks = uncompiled(model), named_plainly(masks)
    check_masks(model, masks)
    traced = traced or getattr(masks, "traced", None)
    cutter = Cutter(
        model, masks, example_inputs, fold=fold, known=traced.settled if traced else None
    )
    outcome = cutter.run(verify=verify)
    if outcome.last is not None:
        raise outcome.last.error()
    small = outcome.small
    round_folds(small, outcome.plan.folds)
    for module, own in zip(model.modules(), small.modules(), strict=True):
        own.training = module.training
    names = WeakIdKeyDictionary({parameter: name for name, parameter in model.named_parameters()})
    settled = outcome.settled
    report = Report((*settled.classes.report, *outcome.report), settled.note)
    return Compaction(small, outcome.plan.kept, report, names)


def rehearse(
    model: nn.Module, masks: Mapping[str, Tensor], example_inputs: Inputs, traced: Trace
) -> tuple[list[Pin], ChannelError | None]:
    """Cut a throw-away copy by masks that have not been applied yet.

    Args:
        model: The network; it is not touched.
        masks: The masks that are to be applied.
        example_inputs: Its inputs.
        traced: What `trace` found of it.

    Returns:
        The channels that would have to stay, as labels of the trace; and the error that `compact`
        would raise, if nothing at all could go.

    Raises:
        ChannelError: There is nothing to compare on the example.
    """
    outcome = Cutter(model, masks, example_inputs, fold=True, known=traced.settled).run(verify=True)
    fits = same_pass(outcome.settled.tape, traced.settled.tape)
    error = None if outcome.last is None else outcome.last.error()
    return outcome.held if fits else [], error


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
