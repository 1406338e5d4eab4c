"""Tracing: the channel classes of any network, from one forward pass."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import torch
from torch import nn

from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.constraints import Pin
from secateur.channels.rebuild import uncompiled
from secateur.channels.tracing.channel_classes import find_classes, groups_of
from secateur.channels.tracing.solver import solve, solve_exactly
from secateur.channels.tracing.state import State
from secateur.channels.tracing.zero_check import MAY_BE_NONZERO, inexact
from secateur.errors import ChannelError
from secateur.foundation.run_example import Inputs
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.pinned import Pinned, Report
from secateur.pruning.sharded import check_whole


class Trace:
    """What running a network showed of its channels.

    Attributes:
        report: What was pinned: operator, module path, how many channels.
        state: The passes themselves.
        verified: What compaction remembers of the cut that it tried last, if nothing had to stay.
    """

    def __init__(self, state: State, names: frozenset[str], nonzero: Flags | None = None) -> None:
        self.state = state
        self.verified: object = None
        self._names, self._nonzero = names, nonzero
        if nonzero is not None:
            state.classes = state.classes.pin(nonzero, MAY_BE_NONZERO)
        self.report = Report(state.classes.report, state.note)

    def hold(self, pins: Sequence[Pin]) -> Trace:
        """The same trace with more channels pinned, which running a cut has found to be needed."""
        for pin in pins:
            self.state.tape.ties.pin(pin.labels, pin.operator, pin.path)
        self.state.held += pins
        self.state.classes = find_classes(self.state.tape)
        return Trace(self.state, self._names, self._nonzero)

    def exactly(self, model: nn.Module, example_inputs: Inputs) -> Trace:
        """This trace of a network with the channels pinned that would not leave exactly.

        Args:
            model: The network that was traced.
            example_inputs: The inputs that it was traced on.
        """
        model = uncompiled(model)
        state = solve_exactly(model, example_inputs, self.state)
        return _exact(model, example_inputs, state, self._names)

    @property
    def is_exact(self) -> bool:
        """Whether channels that would not leave exactly are pinned."""
        return self._nonzero is not None

    @property
    def is_settled(self) -> bool:
        """Whether no axis is left that could be kept a grid in another way."""
        return all(one.taken + 1 == one.options for one in self.state.tape.choices)

    def groups(
        self, scope: Literal["conv", "all"] = "conv", kind: Literal["channel", "head"] = "channel"
    ) -> Groups:
        """The groups that may be cut exactly.

        Args:
            scope: `conv`: channels that convolutions compute; `all`: neurons of linear layers,
                hidden units and attention heads too.
            kind: `head`: attention heads alone. A head is a channel along which products of
                activations are kept apart (`q k^T`, and its product with `v`); of grouped
                queries it is a head of the keys and values with all the queries that read it.

        Raises:
            ChannelError: Nothing in the network may be cut.
        """
        groups = self._groups(scope, kind)
        if groups.count:
            return groups
        if scope == "conv" and (wider := self._groups("all", kind).count):
            raise ChannelError(
                "tracing channels",
                "the scope 'conv'",
                given="without channels that convolutions alone compute",
                expected="at least one that may go",
                remedy=f"Choose scope='all': {wider} channels may go, which embeddings, linear or "
                "recurrent layers compute, too.",
            )
        raise _nothing_free(self.report or _named(self.state.tape.ties.pins), kind)

    def _groups(self, scope: Literal["conv", "all"], kind: Literal["channel", "head"]) -> Groups:
        return groups_of(
            self.state.tape,
            self.state.classes,
            self._names,
            conv_only=scope == "conv",
            heads_only=kind == "head",
        )

    def readers(self, groups: Groups, parameters: Collection[str]) -> list[Slot]:
        """Where some other units have a place in some parameters, as slots that read them.

        Args:
            groups: Units of the same network whose slots are not all of the trace: its filters.
            parameters: State-dict names.

        Returns:
            One slot for each axis of those parameters and each weight that computes units.
        """
        tape, component = self.state.tape, self.state.classes.component
        found = []
        for slot in groups.slots:
            layout = tape.parameters.get(slot.parameter)
            written = None if layout is None else layout.axes[slot.axis]
            if slot.role != "write" or written is None:
                continue
            unit = dict(zip(component[written.labels].tolist(), slot.groups.tolist(), strict=True))
            for name in parameters:
                own = tape.parameters[name].axes if name in tape.parameters else ()
                for position, axis in enumerate(own):
                    classes = [] if axis is None else component[axis.labels].tolist()
                    members = [unit.get(one, -1) for one in classes]
                    if any(member >= 0 for member in members):
                        found.append(Slot(name, position, torch.tensor(members), "read"))
        return found


def trace(model: nn.Module, example_inputs: Inputs, *, exact: bool = True) -> Trace:
    """Trace a network's channels.

    Args:
        model: Any network; copies of it run, in evaluation and in training mode.
        example_inputs: A tensor, a tuple of positional inputs, or a dict of keyword inputs.
        exact: Pin channels that would not leave exactly. Without, a dry run has to find them.

    Raises:
        ChannelError: The network fails on the example, or branches on the data.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        >>> trace(net, torch.zeros(1, 1, 4, 4)).groups().count
        4
    """
    model = uncompiled(model)
    check_whole(model, "tracing channels")
    names = frozenset(name for name, _ in model.named_parameters())
    state = solve(model, example_inputs, exact=exact)
    return _exact(model, example_inputs, state, names) if exact else Trace(state, names)


def _exact(model: nn.Module, example_inputs: Inputs, state: State, names: frozenset[str]) -> Trace:
    nonzero = state.nonzero
    if nonzero is None:
        nonzero = inexact(model, example_inputs, state)
    return Trace(state, names, nonzero)


def _named(pins: Sequence[Pin]) -> list[Pinned]:
    """What was held on the way, where no layer was found that computes channels."""
    return [Pinned(pin.operator, pin.path, pin.labels.size) for pin in pins]


def _nothing_free(report: Sequence[Pinned], kind: str) -> ChannelError:
    worst = sorted(report, key=lambda pin: -pin.channels)
    places = dict.fromkeys(f"{pin.operator} in {pin.path or 'the model'}" for pin in worst)
    named = "; ".join(list(places)[:3])
    what = "pinned as a whole" if kind == "channel" else "without heads that may go"
    return ChannelError(
        "tracing channels",
        "the network",
        given=f"{what} ({named or 'no layer computes channels'})",
        expected=f"at least one {kind} that may go",
        remedy="Prune single weights instead, or replace the operators named.",
    )
