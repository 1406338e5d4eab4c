"""Compaction: the same function in smaller tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.compaction.bias_folding import round_folds
from secateur.channels.compaction.copies import build, masked_copy
from secateur.channels.compaction.cutting import Cutter, Outcome
from secateur.channels.compaction.record import Compaction
from secateur.channels.compaction.skipping import skip_branches
from secateur.channels.compaction.verified_cut import VerifiedCut, fingerprint
from secateur.channels.compaction.verify import Trial, check_numbers
from secateur.channels.float64 import WIDER
from secateur.channels.labels.constraints import Pin
from secateur.channels.rebuild import named_plainly, uncompiled
from secateur.channels.trace import Trace
from secateur.channels.tracing.solver import same_pass
from secateur.errors import ChannelError
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import Inputs, each_tensor
from secateur.pruning.pinned import Report
from secateur.pruning.sharded import check_whole


def compact(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example_inputs: Inputs,
    *,
    traced: Trace | None = None,
) -> nn.Module:
    """Take the channels that masks have emptied out of a network, exactly.

    So are the modules of residual branches of which the masks leave nothing: in their place stand
    some that give zero.

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
    check_whole(model, "compacting a network")
    check_masks(model, masks)
    traced = traced or getattr(masks, "traced", None)
    masked = masked_copy(model, masks).eval()
    made = _again(model, masked, example_inputs, traced) if fold and verify else None
    if made is None:
        made = _anew(model, masks, example_inputs, traced, masked, fold=fold, verify=verify)
    small, kept, report = made
    for module, own in zip(model.modules(), small.modules(), strict=True):
        own.training = module.training
    small, skipped, stay = skip_branches(small, masked, masks, example_inputs)
    if skipped or stay:
        left = dict(own_tensors(small))
        kept = {name: axes for name, axes in kept.items() if name in left}
        report = Report((*report, *stay), report.note)
    names = WeakIdKeyDictionary({parameter: name for name, parameter in model.named_parameters()})
    return Compaction(small, kept, report, names, skipped)


Made = tuple[nn.Module, Mapping[str, Mapping[int, Tensor]], Report]


def _anew(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    example_inputs: Inputs,
    traced: Trace | None,
    masked: nn.Module,
    *,
    fold: bool,
    verify: bool,
) -> Made:
    """Find out what can go, take it out, compare."""
    known = traced.state if traced else None
    cutter = Cutter(model, masks, example_inputs, fold=fold, known=known, masked=masked)
    outcome = cutter.run(verify=verify)
    if outcome.last is not None:
        raise outcome.last.error()
    round_folds(outcome.small, outcome.plan.folds)
    state = outcome.state
    report = Report((*state.classes.report, *outcome.report), state.note)
    return outcome.small, outcome.plan.kept, report


def _again(
    model: nn.Module, masked: nn.Module, example_inputs: Inputs, traced: Trace | None
) -> Made | None:
    """Make the cut that `prune` has tried, if the network is the same to the last bit."""
    verified = traced.verified if traced else None
    if not isinstance(verified, VerifiedCut) or verified.of != fingerprint(masked, example_inputs):
        return None
    small = build(model, masked, verified.kept, verified.folds, verified.numbers)
    try:
        agrees = verified.trial.agrees(masked, small, verified.expected)
    except Exception:
        return None
    round_folds(small, verified.folds)
    return (small, verified.kept, verified.report) if agrees else None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What cutting a throw-away copy has shown.

    Attributes:
        held: The channels that would have to stay, as labels of the trace.
        error: What `compact` would raise, if nothing at all could go.
    """

    held: list[Pin]
    error: ChannelError | None = None


def dry_run(
    model: nn.Module, masks: Mapping[str, Tensor], example_inputs: Inputs, traced: Trace
) -> DryRun:
    """Cut a throw-away copy by masks that have not been applied yet.

    Args:
        model: The network; it is not touched.
        masks: The masks that are to be applied.
        example_inputs: Its inputs.
        traced: What `trace` found of it; it remembers a cut of which nothing has to stay.

    Raises:
        ChannelError: There is nothing to compare on the example.
    """
    known = traced.state
    cutter = Cutter(model, masks, example_inputs, fold=True, known=known)
    outcome = cutter.run(verify=True)
    if not same_pass(outcome.state.tape, known.tape):
        return DryRun([])
    component = outcome.state.classes.component
    back = cutter.kept_back(outcome, masks)
    held = [Pin(one.operator, one.path, np.flatnonzero(one.classes[component])) for one in back]
    if not (held or outcome.held):
        traced.verified = _verified(cutter, outcome, example_inputs)
    held = [*outcome.held, *held]
    return DryRun(held, _nothing_left(outcome, held) if held else None)


def _nothing_left(outcome: Outcome, held: Sequence[Pin]) -> ChannelError | None:
    """What to say where the masks empty channels and none of them can go."""
    if outcome.plan.cut.gone.any():
        return None
    if outcome.last is not None:
        return outcome.last.error()
    if outcome.state.tape.outputs:
        check_numbers(outcome.state.tape.outputs[0])
    return ChannelError(
        "trying the cut",
        held[0].path or "the network",
        given=f"in need of every channel that was chosen ({held[0].operator})",
        expected="at least one channel that may go",
        remedy="Prune single weights instead, or replace the operator named.",
    )


def _verified(cutter: Cutter, outcome: Outcome, example_inputs: Inputs) -> VerifiedCut | None:
    """The cut, for the next time; in another type than float64 it is compared anew."""
    plan, tape, state = outcome.plan, outcome.state.tape, outcome.state
    of = fingerprint(cutter.masked, example_inputs)
    if of is None or tape.wider is not WIDER:
        return None
    report = Report(state.classes.report, state.note)
    trial = Trial(each_tensor(example_inputs, torch.clone), WIDER)
    return VerifiedCut(of, plan.kept, plan.folds, plan.numbers, report, trial, tape.outputs[0])


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
