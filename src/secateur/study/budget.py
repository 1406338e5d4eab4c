"""The budget: how many epochs a point may train, and how the cuts that lead to it share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from secateur.foundation.level import Levels
from secateur.foundation.level_text import level_text
from secateur.registry import METHODS, REPAIRS
from secateur.spec import StudySpec
from secateur.study.method_settings import passes_for_cut, training_for, wrong_plan

TEACHER_PASSES = 3
"""Forward passes over the training data that count as one epoch: backward costs two more."""


@dataclass(frozen=True)
class Stage:
    """One cut, and the retraining behind it.

    Attributes:
        level: The requested sparsities; empty where nothing is cut.
        epochs: Epochs of retraining.
    """

    level: Levels
    epochs: int


def is_total(study: StudySpec) -> bool:
    """Whether every point of the study consumes the same epochs in all."""
    return study.training.budget == "total"


def passes_of(study: StudySpec, method: str) -> int:
    """Passes over the training data for each cut of a method and its repair, counted as epochs."""
    if not METHODS[method].parts:
        return 0
    repairs: list[int] = [REPAIRS[name].passes for name in training_for(study, method).repair]
    return passes_for_cut(study, method) + sum(repairs)


def is_taught(study: StudySpec, method: str) -> bool:
    """Whether the nets of a method learn from the dense net's answers: those that come from it."""
    return study.training.distill > 0 and METHODS[method].start == "trained"


def teacher_epochs(
    study: StudySpec, method: str, stages: Sequence[Stage], retrained: int, prepared: int = 0
) -> int:
    """What the forward passes of a point's teacher count as, in epochs; see `Epochs.teacher`.

    A point that has a total teaches for as long as that pays: three epochs of four are retrained,
    and where that does not come out even the last one goes without a teacher.

    Args:
        study: The settings.
        method: Whose point.
        stages: Its cuts.
        retrained: Epochs of retraining along the whole chain of runs.
        prepared: Epochs of the preparation.
    """
    if not is_taught(study, method):
        return 0
    if not is_total(study):
        return -(-retrained // TEACHER_PASSES)
    taken = _taken(study, method, len(stages), prepared)
    return _teachers_share(study.training.retrain_epochs - taken)


def _taken(study: StudySpec, method: str, cuts: int, prepared: int) -> int:
    """Epochs of a point's total that go to its preparation and to passes for its cuts."""
    return prepared + cuts * passes_of(study, method)


def _teachers_share(left: int) -> int:
    """Of so many epochs those that a teacher's passes count as; the others are retrained.

    `r` retrained epochs with a teacher cost `r + ceil(r / 3)`, which is never one more than a
    multiple of four: then one epoch is retrained without.
    """
    return (max(left, 0) + 2) // (TEACHER_PASSES + 1)


def stages_of(
    study: StudySpec, method: str, chain: Sequence[Levels], prepared: int = 0
) -> tuple[Stage, ...]:
    """The cuts that a point needs, each with its share of the epochs.

    With the budget `level` each cut is followed by `retrain_epochs`. With `total` that is what all
    of them have together, once the preparation and the passes for statistics are paid: evenly,
    or all but the last one epoch.

    Args:
        study: The settings.
        method: Whose point.
        chain: The levels that are cut one after the other, the point's own last.
        prepared: Epochs of the preparation.

    Raises:
        SpecError: The budget is too small for them.

    Example:
        >>> budget = {"base_epochs": 6, "retrain_epochs": 8, "budget": "total"}
        >>> study = StudySpec.model_validate({"training": budget, "methods": {"magnitude": {}}})
        >>> [stage.epochs for stage in stages_of(study, "magnitude", [(0.5,), (0.7,), (0.9,)])]
        [2, 2, 4]
    """
    training = study.training
    if not is_total(study):
        return tuple(Stage(level, training.retrain_epochs) for level in chain)
    taken = _taken(study, method, len(chain), prepared)
    left = training.retrain_epochs - taken
    if is_taught(study, method):
        left -= _teachers_share(left)
        taken += (len(chain) + 1) // TEACHER_PASSES
    if left < (len(chain) if len(chain) > 1 else 0):
        raise wrong_plan(
            "training.retrain_epochs",
            f"{training.retrain_epochs} for all that a point of {method} trains after the base "
            f"net, of which {taken} go to preparation, statistics and a teacher",
            f"at least {taken + len(chain)} for the {len(chain)} cuts that lead to its level "
            f"{level_text(chain[-1]) or '-'}",
        )
    each = 1 if training.spread == "last" else left // len(chain)
    last = left - each * (len(chain) - 1)
    epochs = [*[each] * (len(chain) - 1), last]
    return tuple(Stage(*pair) for pair in zip(chain, epochs, strict=True))
