"""What the schedule of a method cannot be together with, in a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from secateur.foundation.level import target_of
from secateur.pruning.method import is_structured
from secateur.registry import METHODS
from secateur.spec import StudySpec
from secateur.study.method_settings import (
    CUT_BEFORE,
    copied,
    schedule_of,
    settings_for,
    training_for,
    wrong_plan,
)

WHILE_TRAINING: Mapping[str, tuple[str, ...]] = {
    "gradual": ("until", "cuts"),
    "growing": ("until", "ceiling", "choose_at"),
    "alternating": ("until", "cuts"),
    "dynamic": ("until", "drop", "every", "growth"),
}
"""The schedules that change a net while it is trained, and the settings that each of them takes."""
CEILING = 1.0
"""How high a penalty grows, where the study does not say it."""


def check_schedules(study: StudySpec) -> None:
    """Refuse what the settings of schedules, each right by itself, cannot mean together.

    Raises:
        SpecError: Two of them contradict each other; the first one is named.
    """
    for name in _every(study):
        _check_start(study, name)
        _check_options(study, name)
        _check_ceiling(study, name)
        if schedule_of(study, name) in WHILE_TRAINING:
            _check_method(study, name)
            _check_training(study, name)


def _every(study: StudySpec) -> Iterator[str]:
    """The methods of a study, and those that one of them copies."""
    for name, spec in study.methods.items():
        yield name
        if METHODS[name].start == "initial":
            yield copied(spec)


def _check_start(study: StudySpec, name: str) -> None:
    schedule = settings_for(study, name).schedule
    if METHODS[name].start == "untrained" and schedule in ("incremental", "gradual", "growing"):
        raise wrong_plan(
            f"methods.{name}.schedule",
            f"{schedule!r} of a method that prunes a net as it was initialised",
            "one-shot, dynamic or alternating: nothing is trained between its cuts",
        )


def _check_options(study: StudySpec, name: str) -> None:
    spec, schedule = settings_for(study, name), schedule_of(study, name)
    for option in dict.fromkeys(each for known in WHILE_TRAINING.values() for each in known):
        usual = type(spec).model_fields[option].default
        if getattr(spec, option) != usual and option not in WHILE_TRAINING.get(schedule, ()):
            of = " or ".join(repr(one) for one, known in WHILE_TRAINING.items() if option in known)
            raise wrong_plan(
                f"methods.{name}.{option}",
                "set",
                f"none, or schedule = {of}, of which it is an option",
            )


def _check_ceiling(study: StudySpec, name: str) -> None:
    """Refuse a choice at a penalty that is never reached."""
    spec = settings_for(study, name)
    ceiling = CEILING if spec.ceiling is None else spec.ceiling
    if spec.choose_at is not None and spec.choose_at >= ceiling:
        raise wrong_plan(
            f"methods.{name}.choose_at",
            f"{spec.choose_at:g}, where the penalty ends at {ceiling:g}",
            "a lower one than `ceiling`",
        )


def _check_method(study: StudySpec, name: str) -> None:
    """Refuse methods and levels that a schedule has nothing to do with."""
    schedule, parts = schedule_of(study, name), METHODS[name].parts
    subject = f"methods.{name}.schedule"
    if not parts:
        raise wrong_plan(subject, f"{schedule!r} of a method that cuts nothing", "none")
    asked = settings_for(study, name).granularity or "weight"
    if schedule == "dynamic" and (asked != "weight" or is_structured(parts)):
        given = "a method that cuts channels" if is_structured(parts) else f"granularity {asked!r}"
        raise wrong_plan(
            subject,
            f"'dynamic' of {given}",
            "another schedule, or a method of single weights: only connections are grown",
        )
    if schedule != "growing" and any(
        target_of(level) is not None for level in study.levels_of(name)
    ):
        raise wrong_plan(
            subject,
            f"{schedule!r} with a target as a level",
            "sparsities, which a schedule leads to",
        )


def _check_training(study: StudySpec, name: str) -> None:
    """Refuse ways of training that a net cannot be changed in."""
    schedule, training = schedule_of(study, name), training_for(study, name)
    trained = METHODS[name].start == "trained"
    subject, before = f"methods.{name}.schedule", schedule not in CUT_BEFORE
    if study.train:
        raise wrong_plan(
            subject, f"{schedule!r} beside `train`, a loop of your own", "one-shot or incremental"
        )
    if trained and before and training.retrain not in ("fine-tune", "rewind-rate"):
        raise wrong_plan(
            subject,
            f"{schedule!r} beside training.retrain = {training.retrain!r}, which begins at a cut",
            "one-shot or incremental; or retrain = 'fine-tune' or 'rewind-rate'",
        )
    if before and training.repair:
        raise wrong_plan(
            subject,
            f"{schedule!r} beside training.repair, which mends a net between its cut and training",
            "one-shot or incremental; or no repair",
        )
