"""What a study asks of each of its methods: settings of its own, or the study's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from secateur.errors import MaskError, SpecError
from secateur.foundation.level import shares_of, target_of
from secateur.foundation.level_text import level_text
from secateur.pruning.method import is_structured, parts_of
from secateur.registry import CRITERIA, METHODS
from secateur.spec import FILES, MethodSpec, StudySpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from secateur.pruning.method import Method, Schedule

WHILE_TRAINING: Mapping[str, tuple[str, ...]] = {
    "gradual": ("until", "cuts"),
    "growing": ("until", "ceiling"),
}
"""The schedules that cut while a net is retrained, and the settings that each of them takes."""


def settings_for(study: StudySpec, method: str) -> MethodSpec:
    """A method's settings: the study's, or its defaults where another method copies it."""
    found: MethodSpec = study.methods.get(method) or METHODS[method].options()
    return found


def schedule_of(study: StudySpec, method: str) -> Schedule:
    """How a method comes to a level: by its settings, or by itself."""
    found: Schedule = settings_for(study, method).schedule or METHODS[method].schedule
    return found


def passes_for_cut(study: StudySpec, name: str) -> int:
    """How often each cut of a method goes through the training data for what it scores by."""
    from secateur.pruning.statistics import passes_over_data  # here, for it loads torch

    if "scores" in files_of(study, name):
        return 0
    # Where cuts are made during a retraining, the first one's statistics are those of all.
    several = schedule_of(study, name) != "gradual"
    rounds = int(getattr(settings_for(study, name), "rounds", 1)) if several else 1
    return rounds * passes_over_data(METHODS[name].parts)


def _needs_first_weights(method: Method) -> bool:
    """Whether a method cuts the weights from before the training, or goes by them."""
    from secateur.pruning.criterion import INITIAL, needs_of  # here, for it loads torch

    needed = needs_of(CRITERIA[part.criterion] for part in method.parts)
    return method.start == "untrained" or INITIAL in needed


def layers_of(study: StudySpec, method: str) -> dict[str, Any]:
    """A method's choice of layers: its own settings, or the study's; only those that are set.

    Returns:
        The arguments of `secateur.pruning.layers.Layers`.
    """
    own = settings_for(study, method)
    protected = study.protected if own.protected is None else own.protected
    asked = {
        "exclude": study.exclude if own.exclude is None else own.exclude,
        "only": study.only if own.only is None else own.only,
        "prunable": study.prunable,
        "max_sparsity": study.max_sparsity if own.max_sparsity is None else own.max_sparsity,
        # Single weights know no channel: the setting is nothing to them, and names none of them.
        "protected": protected if is_structured(METHODS[method].parts) else 0.0,
    }
    return {name: value for name, value in asked.items() if value}


def files_of(study: StudySpec, method: str) -> dict[str, str]:
    """The files of scores and masks that a method's cuts go by: its own settings, or the study's.

    The study's scores are nothing to a control: it would be none.

    Returns:
        `scores` and `masks`, where they are set -> the path.
    """
    if not METHODS[method].parts:
        return {}
    own = settings_for(study, method)
    every = {"scores": "" if METHODS[method].control else study.scores, "masks": study.masks}
    asked = {name: getattr(own, name) for name in FILES}
    found = {name: every[name] if asked[name] is None else asked[name] for name in FILES}
    return {name: path for name, path in found.items() if path}


def copied(spec: MethodSpec) -> str:
    """The method whose cut nets are trained from scratch."""
    return str(getattr(spec, "like"))  # noqa: B009


def check_methods(study: StudySpec) -> None:
    """Refuse what the settings, each right by itself, cannot mean together."""
    _check_training(study)
    for name, spec in study.methods.items():
        method: Method = METHODS[name]
        if method.start == "initial" and not METHODS[copied(spec)].parts:
            pruning = ", ".join(each for each in METHODS if METHODS[each].parts)
            raise wrong_plan(f"methods.{name}.like", repr(copied(spec)), f"one of {pruning}")
        if method.start == "untrained" and spec.schedule not in (None, "one-shot"):
            raise wrong_plan(
                f"methods.{name}.schedule",
                f"{spec.schedule!r} of a method that prunes a net as it was initialised",
                "one-shot: nothing is trained between its cuts",
            )
        if spec.scope and len(method.parts) != 1:
            raise wrong_plan(
                f"methods.{name}.scope", repr(spec.scope), "none: it has scopes of its own"
            )
        if not method.parts and spec.levels:
            raise wrong_plan(f"methods.{name}.levels", "set", "none: it prunes nothing of its own")
        pruned = copied(spec) if method.start == "initial" else name
        if study.base.checkpoint and _needs_first_weights(METHODS[pruned]):
            raise wrong_plan(
                f"methods.{pruned}",
                "beside a base checkpoint, whose first weights are not known",
                "a base net that this study trains from its initialisation",
            )
        for one in dict.fromkeys((name, pruned)):
            _check_while_training(study, one)
        cuts = len(METHODS[pruned].parts)
        for level in study.levels_of(pruned) if cuts else ():
            if len(level) not in (1, cuts):
                given = level_text(level)
                known = "one sparsity" if cuts == 1 else f"one sparsity, or {cuts} with a slash"
                raise wrong_plan(f"a level of {pruned}", given, known)
        _check_granularity(study, pruned)


def _check_granularity(study: StudySpec, name: str) -> None:
    """Refuse a granularity that a method cannot be cut at, and levels that it contradicts."""
    spec, method = settings_for(study, name), METHODS[name]
    if spec.granularity is None or not method.parts:
        return
    from secateur.pruning.n_of_m import check_level, check_no_target  # here, for it loads torch

    try:
        parts = parts_of(method, spec)
        for level in study.levels_of(name):
            target = target_of(level)
            if target is not None:
                check_no_target(parts, target)
            else:
                check_level(parts, shares_of(level))
    except MaskError as error:
        raise wrong_plan(
            f"{error.subject} of methods.{name}", error.given, error.expected
        ) from None


def _check_training(study: StudySpec) -> None:
    """Refuse recipes of retraining that a loop of the user's own, or a repair, cannot be with."""
    if study.train and study.training.retrain in ("rewind-rate", "rewind-weights"):
        raise wrong_plan(
            "training.retrain",
            f"{study.training.retrain!r} beside `train`, a loop of your own",
            "fine-tune or adaptive: your loop sets its own rates",
        )
    if study.train and study.training.distill:
        raise wrong_plan(
            "training.distill",
            "set beside `train`, a loop of your own",
            "0: your loop sets its own loss",
        )
    if study.training.repair and study.training.kept_epoch is not None:
        raise wrong_plan(
            "training.repair",
            "set beside retrain = 'rewind-weights', which takes back what was mended",
            "none, or another way of retraining",
        )


def _check_while_training(study: StudySpec, name: str) -> None:
    """Refuse what cannot be together with cuts that are made while a net is retrained."""
    spec, schedule = settings_for(study, name), schedule_of(study, name)
    known = WHILE_TRAINING.get(schedule, ())
    for option in dict.fromkeys(one for own in WHILE_TRAINING.values() for one in own):
        if getattr(spec, option) is not None and option not in known:
            takes = [repr(word) for word, own in WHILE_TRAINING.items() if option in own]
            raise wrong_plan(
                f"methods.{name}.{option}",
                "set",
                f"none, or schedule = {' or '.join(takes)}, of which it is an option",
            )
    if not known:
        return
    subject, training = f"methods.{name}.schedule", study.training
    if not METHODS[name].parts:
        raise wrong_plan(subject, f"{schedule!r} of a method that cuts nothing", "none")
    if study.train:
        raise wrong_plan(
            subject, f"{schedule!r} beside `train`, a loop of your own", "one-shot or incremental"
        )
    if training.retrain not in ("fine-tune", "rewind-rate"):
        raise wrong_plan(
            subject,
            f"{schedule!r} beside training.retrain = {training.retrain!r}, which begins at a cut",
            "one-shot or incremental; or retrain = 'fine-tune' or 'rewind-rate'",
        )
    if training.retrain_dropout == "scaled":
        raise wrong_plan(
            subject,
            f"{schedule!r} beside training.retrain_dropout, which goes by a cut before retraining",
            "one-shot or incremental",
        )
    if training.repair:
        raise wrong_plan(
            subject,
            f"{schedule!r} beside training.repair, which mends a net between cut and retraining",
            "one-shot or incremental; or no repair",
        )
    if schedule == "gradual" and any(
        target_of(level) is not None for level in study.levels_of(name)
    ):
        raise wrong_plan(
            subject, "'gradual' with a target as a level", "sparsities, which a schedule leads to"
        )


def wrong_plan(subject: str, given: str, expected: str) -> SpecError:
    """The error about settings of a study that cannot be planned."""
    return SpecError(
        "planning the study",
        subject,
        given=given,
        expected=expected,
        remedy="Mend this setting; `secateur studies original` shows a complete example.",
    )
