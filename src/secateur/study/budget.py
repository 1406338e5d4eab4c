"""The budget: how many epochs a point may train, and how the cuts that lead to it share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from secateur.foundation.level import Levels
from secateur.foundation.level_text import level_text
from secateur.registry import METHODS, REPAIRS
from secateur.spec import StudySpec
from secateur.study.method_settings import passes_for_cut, wrong_plan


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
    repairs: list[int] = [REPAIRS[name].passes for name in study.training.repair]
    return passes_for_cut(study, method) + sum(repairs)


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
    taken = prepared + len(chain) * passes_of(study, method)
    left = training.retrain_epochs - taken
    if left < (len(chain) if len(chain) > 1 else 0):
        raise wrong_plan(
            "training.retrain_epochs",
            f"{training.retrain_epochs} for all that a point of {method} trains after the base "
            f"net, of which {taken} go to preparation and statistics",
            f"at least {taken + len(chain)} for the {len(chain)} cuts that lead to its level "
            f"{level_text(chain[-1]) or '-'}",
        )
    each = 1 if training.spread == "last" else left // len(chain)
    last = left - each * (len(chain) - 1)
    epochs = [*[each] * (len(chain) - 1), last]
    return tuple(Stage(*pair) for pair in zip(chain, epochs, strict=True))
