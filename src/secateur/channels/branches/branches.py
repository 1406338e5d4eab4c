"""Branches: the residual branches of a network that can go whole, as units of pruning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from secateur.channels.branches.dataflow import Flow, Form, flow_of
from secateur.channels.branches.residual import Branch, residual_branches
from secateur.channels.rebuild import rebuild, uncompiled
from secateur.errors import ChannelError
from secateur.foundation.own_error import words_of
from secateur.foundation.run_example import Inputs
from secateur.pruning.filters import filter_axis
from secateur.pruning.groups import Groups, Role, Slot
from secateur.pruning.pinned import Pinned, Report

_NAMED = 3
BRANCH = "branch"
"""What one unit is called in a report."""


@dataclass(frozen=True)
class Branches:
    """The residual branches of a network.

    Attributes:
        free: Those that may go, in the order of the pass.
        report: The others, and what holds them.
        forms: By module, the form of what it gives; None where nothing can stand for it.
    """

    free: tuple[Branch, ...]
    report: Report
    forms: Mapping[str, Form | None]

    def groups(self, model: nn.Module) -> Groups:
        """Every branch as one unit; its layer is the module of its first weight.

        Args:
            model: The network.

        Raises:
            ChannelError: No branch may go.
        """
        if not self.free:
            raise _nothing_free(self.report)
        parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
        slots = []
        for number, branch in enumerate(self.free):
            for name in branch.parameters:
                role: Role = "write" if parameters[name].dim() > 1 else "affine"
                owner = modules.get(name.rpartition(".")[0])
                axis = filter_axis(owner) if owner is not None and role == "write" else 0
                if parameters[name].dim() > axis:
                    length = parameters[name].shape[axis]
                    slots.append(Slot(name, axis, torch.full([length], number), role))
        layers = tuple(branch.weights[0].rpartition(".")[0] for branch in self.free)
        return Groups(layers, torch.arange(len(layers)), tuple(slots), whole=True)


def find_branches(model: nn.Module, example_inputs: Inputs) -> Branches:
    """Find the residual branches that can go whole, exactly.

    A branch may go if the sum adds it to the very tensor that it is computed of, if nothing else
    reads what it gives or has its parameters, and if it gives zeros once they are all zero; in
    evaluation mode and, where the network runs in it, in training mode.

    Args:
        model: Any network; copies of it run.
        example_inputs: A tensor, a tuple of positional inputs, or a dict of keyword inputs.

    Raises:
        ChannelError: The network fails on the example.

    Example:
        >>> class Block(nn.Linear):
        ...     def forward(self, x):
        ...         return x + super().forward(x).relu()
        >>> net = nn.Sequential(Block(3, 3), nn.Linear(3, 2))
        >>> [branch.parameters for branch in find_branches(net, torch.zeros(1, 3)).free]
        [('0.weight', '0.bias')]
    """
    model = uncompiled(model)
    try:
        flow = flow_of(model, example_inputs)
    except Exception as failure:
        raise ChannelError(
            "looking for residual branches",
            type(model).__name__,
            given=f"failing on the example inputs ({words_of(failure)})",
            expected="a network that runs on them",
            remedy="Pass inputs of the shape and type that the network takes.",
        ) from failure
    found = _zeroed(model, example_inputs, residual_branches(model, flow), flow, training=False)
    note = ""
    try:
        trained = flow_of(model, example_inputs, training=True)
    except Exception as failure:
        note = f"It fails in training mode ({words_of(failure)})."
    else:
        found = _in_both(model, example_inputs, found, trained)
    pins = [Pinned(one.pinned, one.path, 1, BRANCH) for one in found if one.pinned]
    free = tuple(one for one in found if not one.pinned)
    return Branches(free, Report(pins, note), flow.forms)


def _in_both(
    model: nn.Module, example_inputs: Inputs, found: list[Branch], trained: Flow
) -> list[Branch]:
    """The branches, pinned for what training mode shows of them."""
    again = residual_branches(model, trained)
    again = _zeroed(model, example_inputs, again, trained, training=True)
    known = {frozenset(one.parameters): one.pinned for one in again}
    missing = "it is another branch in training mode"
    return [
        replace(one, pinned=one.pinned or known.get(frozenset(one.parameters), missing))
        for one in found
    ]


def _zeroed(
    model: nn.Module,
    example_inputs: Inputs,
    found: list[Branch],
    flow: Flow,
    *,
    training: bool,
) -> list[Branch]:
    """The branches, those pinned that bring something to their sum once their weights are zero."""
    own = {name for one in found if not one.pinned for name in one.parameters}
    tensors = {
        name: torch.zeros_like(parameter)
        for name, parameter in model.named_parameters()
        if name in own and parameter.dim()
    }
    try:
        zeroed = flow_of(rebuild(model, tensors), example_inputs, training=training)
    except Exception:
        zeroed = Flow()
    alike = [step.name for step in zeroed.steps] == [step.name for step in flow.steps]
    return [
        one if one.pinned else replace(one, pinned=_constant(one, zeroed) if alike else _OTHER_WAY)
        for one in found
    ]


_OTHER_WAY = "the network takes another way once branches are zero"


def _constant(branch: Branch, zeroed: Flow) -> str:
    total = zeroed.steps[branch.sum].sum
    if total is not None and total.are_zero[branch.operand]:
        return ""
    return "a constant is left of it once its weights are zero"


def _nothing_free(report: Report) -> ChannelError:
    held = "; ".join(f"{one.path or 'the model'}: {one.operator}" for one in report[:_NAMED])
    held = held or "no sum of a tensor and what is computed of it"
    return ChannelError(
        "looking for residual branches",
        "the network",
        given=f"without branches that may go ({held})",
        expected="at least one residual branch x + f(x) that may go",
        remedy="Prune channels or single weights instead, or mend what is named.",
    )
