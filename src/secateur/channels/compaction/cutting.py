"""Cutting: what masks have emptied leaves a network, and what it cannot do without stays.

The cut is planned, made on a copy and compared with the masked network. Where that differs, the
classes that are to blame stay, with a line in the report, and the rest is cut again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor, nn

from secateur.channels.compaction.copies import build, masked_copy
from secateur.channels.compaction.culprits import culprits
from secateur.channels.compaction.plan import Plan, Refused, make_plan, pin_more
from secateur.channels.compaction.verify import Difference, compare
from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.constant_propagation import used_slices
from secateur.channels.labels.constraints import Pin
from secateur.channels.tracing.channel_classes import Classes, foldable_weights, roles_of
from secateur.channels.tracing.cut import Cut
from secateur.channels.tracing.solver import ROUNDS, solve
from secateur.channels.tracing.state import State
from secateur.channels.tracing.tape import Tape
from secateur.channels.tracing.zero_check import MAY_BE_NONZERO, bringing
from secateur.foundation.run_example import Inputs
from secateur.pruning.pinned import Pinned


@dataclass(slots=True)
class Outcome:
    """A compact network, and what it took to get there.

    Attributes:
        small: The network, its folded biases in float64.
        plan: What left.
        state: The pass that followed constants.
        held: Labels that were found to be needed, with operator and place.
        report: The same for the user.
        last: The last difference; only where nothing could leave.
    """

    small: nn.Module
    plan: Plan
    state: State
    held: list[Pin] = field(default_factory=list)
    report: tuple[Pinned, ...] = ()
    last: Difference | None = None


class Cutter:
    """Cuts one masked network.

    Args:
        model: The network; it is not touched.
        masks: Its masks.
        example_inputs: Its inputs.
        fold: Let biases take over constants other than zero.
        known: The same network, solved before.
        masked: The network with the masks applied, if it is there already.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Mapping[str, Tensor],
        example_inputs: Inputs,
        *,
        fold: bool,
        known: State | None,
        masked: nn.Module | None = None,
    ) -> None:
        self._model, self._example = model, example_inputs
        self.masked = masked or masked_copy(model, masks).eval()
        self._state = solve(self.masked, example_inputs, constants=True, known=known)
        self._foldable = (
            foldable_weights(self.masked, self._state.tape) if fold else frozenset[str]()
        )

    def run(self, *, verify: bool) -> Outcome:
        """Cut, compare, and cut less until both are the same function.

        Args:
            verify: Compare at all.

        Raises:
            ChannelError: There is nothing to compare on the example.
        """
        plan = self._planned(self._state.classes)
        outcome = Outcome(self._build(plan), plan, self._state)
        rounds = ROUNDS if verify else 0
        while rounds and outcome.plan.cut.gone.any():
            rounds -= 1
            difference = compare(self.masked, outcome.small, self._example, outcome.plan.cut)
            if difference is None:
                break
            self._hold_back(outcome, difference, everything=rounds == 0)
        return outcome

    def kept_back(self, outcome: Outcome, masks: Mapping[str, Tensor]) -> list[Refused]:
        """Classes that the masks have emptied and that stay all the same, with the reason."""
        plan, tape, classes = outcome.plan, self._state.tape, self._state.classes
        left = _emptied_by(masks, tape, classes) & ~plan.cut.gone
        refused = [one for one in plan.refused if (one.classes & left).any()]
        nonzero = left & bringing(tape, classes, foldable=self._foldable)
        return [*refused, *([Refused(nonzero, MAY_BE_NONZERO, "")] if nonzero.any() else [])]

    def _hold_back(self, outcome: Outcome, difference: Difference, *, everything: bool) -> None:
        """Let the classes stay that made a difference."""
        cut = outcome.plan.cut
        expected = difference.trial.run(self.masked)

        def is_right(stay: Flags) -> bool:
            plan = self._planned(pin_more(cut.classes, stay))
            try:
                small = self._build(plan)
                return difference.trial.agrees(self.masked, small, expected)
            except Exception:
                return False

        stay = cut.gone if everything else culprits(cut, difference.place, is_right)
        place, held = difference.place, _report(cut.classes, stay, difference)
        labels = np.flatnonzero(_whole_layers(cut, stay)[cut.classes.component])
        outcome.held.append(Pin(held.operator, place.path, labels))
        outcome.report = (*outcome.report, held)
        outcome.plan = self._planned(pin_more(cut.classes, stay))
        outcome.small = self._build(outcome.plan)
        if not outcome.plan.cut.gone.any():
            outcome.last = difference

    def _planned(self, classes: Classes) -> Plan:
        return make_plan(self.masked, self._example, self._state, self._foldable, classes)

    def _build(self, plan: Plan) -> nn.Module:
        return build(self._model, self.masked, plan.kept, plan.folds, plan.numbers)


def _report(classes: Classes, held: Flags, difference: Difference) -> Pinned:
    """What one difference held, in the user's words."""
    place = difference.place
    line = f" at {place.line}" if place.line else ""
    operator = f"{place.operator or 'an operator'}{line} ({difference.given})"
    return Pinned(operator, place.path, int((held & classes.candidates).sum()))


def _whole_layers(cut: Cut, stay: Flags) -> Flags:
    """With every channel of the layers of which none of those chosen could leave.

    Others of the layer would be no better; what was to blame is its width.
    """
    written = cut.classes.written
    writes = len(cut.classes.writes)
    chosen, kept = (
        np.bincount(written[one & (written >= 0)], minlength=writes)
        for one in (cut.gone, stay & cut.gone)
    )
    whole = (kept == chosen) & (kept > 0)
    held: Flags = stay | (cut.classes.candidates & whole[written])
    return held


def _emptied_by(masks: Mapping[str, Tensor], tape: Tape, classes: Classes) -> Flags:
    """Bool `[classes]`: those of which the masks leave nothing that computes them."""
    alive = np.zeros_like(classes.pinned)
    roles = roles_of(tape)
    for name, layout in tape.parameters.items():
        for position, axis in enumerate(layout.axes):
            if axis is None or roles[name, position] != "write":
                continue
            members = classes.of(axis.labels)
            mask = masks.get(name)
            if mask is not None:
                members = members[used_slices(mask, position)]
            alive[members] = True
    return classes.candidates & ~alive
