"""What a study asks of each of its methods: settings of its own, or the study's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from secateur.errors import MaskError, SpecError
from secateur.foundation.granularity import CHANNELS
from secateur.foundation.level import shares_of, target_of
from secateur.foundation.level_text import level_text
from secateur.pruning.method import is_structured, parts_of
from secateur.registry import CRITERIA, METHODS
from secateur.spec import FILES, MethodSpec, StudySpec
from secateur.version_settings import repair_of

if TYPE_CHECKING:
    from secateur.pruning.method import Method, Schedule
    from secateur.training_settings import TrainingSpec


OF_CHANNELS = ("reduce",)
"""The options of a method that mean something to cuts of filters and channels alone."""
OF_CUTS = ("scope", "ranking", "allocation", "normalize", "granularity", "scores", *OF_CHANNELS)
"""Those that mean nothing where nothing is cut."""

CUT_BEFORE = ("one-shot", "incremental", "dynamic")
"""The schedules of methods whose nets are cut before they are trained on."""


def settings_for(study: StudySpec, method: str) -> MethodSpec:
    """A method's settings: the study's, or its defaults where another method copies it."""
    found: MethodSpec = study.methods.get(method) or METHODS[method].options()
    return found


def schedule_of(study: StudySpec, method: str) -> Schedule:
    """How a method comes to a level: by its settings, or by itself."""
    found: Schedule = settings_for(study, method).schedule or METHODS[method].schedule
    return found


def training_for(study: StudySpec, method: str) -> TrainingSpec:
    """The study's training; of a method that rewinds by itself with where it goes back to.

    The repair that the study's version sets is not that of a method that has no moment for it.
    """
    training = study.training
    if not _asks_for_repair(study) and not _is_mended(study, method):
        training = training.model_copy(update={"repair": ()})
    if not METHODS[method].rewinds or training.kept_epoch is not None:
        return training
    return training.model_copy(update={"retrain": "rewind-weights", "rewind_epoch": 0})


def _asks_for_repair(study: StudySpec) -> bool:
    """Whether the study's repair is its own setting, and not that of its version."""
    return study.training.repair not in ((), tuple(repair_of(study.version)))


def _is_mended(study: StudySpec, method: str) -> bool:
    """Whether a repair lasts: between a cut and a training that goes on from the mended net."""
    goes_back = METHODS[method].rewinds or study.training.kept_epoch is not None
    return schedule_of(study, method) in CUT_BEFORE and not goes_back


def passes_for_cut(study: StudySpec, name: str) -> int:
    """How often each cut of a method goes through the training data for what it scores by."""
    from secateur.pruning.statistics import passes_over_data  # here, for it loads torch

    parts = parts_of(METHODS[name], settings_for(study, name))
    if "scores" in files_of(study, name):  # an allocation may need some all the same
        return passes_over_data([replace(part, criterion="scores") for part in parts])
    # Where cuts are made during a retraining, the first one's statistics are those of all.
    several = schedule_of(study, name) not in ("gradual", "alternating")
    rounds = int(getattr(settings_for(study, name), "rounds", 1)) if several else 1
    return rounds * passes_over_data(parts)


def _needs_first_weights(method: Method) -> bool:
    """Whether a method cuts the weights from before the training, or goes by them."""
    from secateur.pruning.criterion import INITIAL, needs_of  # here, for it loads torch

    needed = needs_of(CRITERIA[part.criterion] for part in method.parts)
    return method.start == "untrained" or method.rewinds or INITIAL in needed


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
        _check_idle(name, spec, method)
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
        cuts = len(METHODS[pruned].parts)
        for level in study.levels_of(pruned) if cuts else ():
            if len(level) not in (1, cuts):
                given = level_text(level)
                known = "one sparsity" if cuts == 1 else f"one sparsity, or {cuts} with a slash"
                raise wrong_plan(f"a level of {pruned}", given, known)
        _check_granularity(study, pruned)
        _check_rewinding(study, pruned)


def _check_idle(name: str, spec: MethodSpec, method: Method) -> None:
    """Refuse options that every method has a place for, and this one no use."""
    idle: tuple[str, ...] = () if method.parts else OF_CUTS
    if method.parts and not is_structured(method.parts) and spec.granularity not in CHANNELS:
        idle = OF_CHANNELS
    for option in idle:
        if getattr(spec, option) is not None:
            expected = "none: it prunes nothing of its own"
            if method.parts:
                expected = "none: an option of methods that cut filters or channels"
            raise wrong_plan(f"methods.{name}.{option}", repr(getattr(spec, option)), expected)


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


def _check_rewinding(study: StudySpec, name: str) -> None:
    """Refuse a method that rewinds where the rates are another's, or weights are mended."""
    given = "beside `train`, a loop of your own" if study.train else "beside training.repair"
    if METHODS[name].rewinds and (study.train or training_for(study, name).repair):
        raise wrong_plan(
            f"methods.{name}",
            f"{given}: its nets go back to the weights and rates from before their training",
            "magnitude, which is retrained as it was cut",
        )


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
    if study.train and study.training.devices > 1:
        raise wrong_plan(
            "training.devices",
            f"{study.training.devices} beside `train`, a loop of your own",
            "1: your loop says itself what it trains on",
        )
    if _asks_for_repair(study) and study.training.kept_epoch is not None:
        raise wrong_plan(
            "training.repair",
            "set beside retrain = 'rewind-weights', which takes back what was mended",
            "none, or another way of retraining",
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
