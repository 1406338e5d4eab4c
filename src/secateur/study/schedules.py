"""Schedules: at which steps of a run's training its net is cut, by the settings of its method."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from secateur.errors import MaskError
from secateur.pruning.alternating import Alternating
from secateur.pruning.dynamic import Dynamic
from secateur.pruning.gradual import Gradual
from secateur.pruning.growing import Growing, Late
from secateur.pruning.masks import Masks
from secateur.spec import MethodSpec
from secateur.study.schedule_settings import CEILING

UNTIL = {"gradual": 2 / 3, "growing": 2 / 3, "dynamic": 0.75, "alternating": 0.85}
"""The share of the training after which a schedule changes nothing, where the study says none."""
CUTS = 20
"""Into how many steps the way of a gradual cut is divided, likewise."""
PHASES = 8
"""How many phases of alternating training are cut, likewise."""
EVERY = 100
"""Steps between two updates of dynamic sparse training, likewise, at most."""
UPDATES = 20
"""How many updates there are at least, likewise."""
DROP = 0.3
"""The share of its connections that a layer drops at the beginning, likewise."""


def gradual(steps: int, options: MethodSpec) -> Gradual:
    """When the cuts of a retraining of so many steps are made; the sparsities are a cut's own.

    Example:
        >>> plan = gradual(300, MethodSpec(schedule="gradual", until=0.5, cuts=3))
        >>> plan.end, plan.every
        (150, 50)
    """
    end = _end("gradual", steps, options)
    return Gradual(0.0, end=end, every=max(1, end // (options.cuts or CUTS)))


def growing(
    chosen: Masks,
    steps: int,
    options: MethodSpec,
    previous: Masks | None,
    choose: Callable[[nn.Module], Masks] | None = None,
) -> Growing:
    """What makes the one cut of a retraining of so many steps, and the penalty before it.

    Args:
        chosen: The cut.
        steps: Of the retraining.
        options: The method's, with `until`, `ceiling` and `choose_at`.
        previous: What is cut before the first step.
        choose: Makes the cut anew of a net that has trained, where `choose_at` says so.
    """
    ceiling = CEILING if options.ceiling is None else options.ceiling
    late = Late(options.choose_at, choose) if options.choose_at and choose else None
    return Growing(chosen, _end("growing", steps, options), ceiling, previous, late)


def alternating(steps: int, options: MethodSpec) -> Alternating:
    """When a net is cut and when it is whole, in a training of so many steps.

    Example:
        >>> plan = alternating(1000, MethodSpec(schedule="alternating"))
        >>> plan.end, plan.phases, plan.last_cut(120)
        (850, 8, 100)
    """
    return Alternating(_end("alternating", steps, options), options.cuts or PHASES)


def dynamic(steps: int, options: MethodSpec) -> Dynamic:
    """When how many connections move, in a training of so many steps.

    Where the method does not say `every`, it is 100 steps, or a twentieth of the way if that is
    less: a short training moves them, too.

    Raises:
        MaskError: The first update would come after the last one.

    Example:
        >>> plan = dynamic(1000, MethodSpec(schedule="dynamic"))
        >>> plan.end, plan.every, plan.drop
        (750, 37, 0.3)
    """
    end = _end("dynamic", steps, options)
    every = options.every or min(EVERY, max(1, end // UPDATES))
    if options.every and every >= end:
        raise MaskError(
            "planning dynamic sparse training",
            "every",
            given=f"{every} steps, where connections move for {end} of the {steps} steps",
            expected="fewer, so that they move at all",
            remedy="Lower `every`, or train for more epochs; leave it out for 20 updates or more.",
        )
    return Dynamic(end, every, DROP if options.drop is None else options.drop)


def _end(schedule: str, steps: int, options: MethodSpec) -> int:
    return int((UNTIL[schedule] if options.until is None else options.until) * steps)
