"""The space of a search: which settings of a study are searched, and among what."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from secateur.errors import SpecError, UnknownNameError
from secateur.registry import METHODS
from secateur.spec import StudySpec, check_study
from secateur.study.plan import REPAIR, RETRAINING
from secateur.training_settings import TrainingSpec
from secateur.tuning_settings import SearchSpec, TuneSpec, label_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

TRAINING, MODEL, OF_METHODS = "training", "model", "methods"
_TOTAL = RETRAINING | REPAIR
_LEVELS = "levels"


@dataclass(frozen=True)
class SearchedSetting:
    """One setting that is searched.

    Attributes:
        name: As in `[tune.space]`.
        place: Where it stands in a study's values.
        search: What is tried for it.
        whole: Whether its numbers are whole.
    """

    name: str
    place: tuple[str, ...]
    search: SearchSpec
    whole: bool

    def distribution(self) -> BaseDistribution:
        """As Optuna has it; of a list the labels."""
        from optuna import distributions

        found = self.search
        if found.choices is not None:
            return distributions.CategoricalDistribution([*map(label_of, found.choices)])
        low, high = found.low or 0, found.high or 0
        if self.whole:
            step = int(found.step or 1)
            return distributions.IntDistribution(int(low), int(high), log=found.log, step=step)
        step_ = None if found.step is None else float(found.step)
        return distributions.FloatDistribution(float(low), float(high), log=found.log, step=step_)

    def value(self, found: Any) -> Any:
        """What stands in a study for what the search found."""
        if self.search.choices is None:
            return found
        return next(value for value in self.search.choices if label_of(value) == found)

    def ends(self) -> tuple[Any, ...]:
        """Every choice, or the lowest and the highest number."""
        return self.search.choices or (self.search.low, self.search.high)

    def found(self, value: Any) -> Any:
        """What the search would have found, had it found this value; None where it cannot."""
        choices, low, high = self.search.choices, self.search.low, self.search.high
        if choices is not None:
            plain = list(value) if isinstance(value, tuple) else value
            same = (one for one in choices if label_of(one) == label_of(plain))
            return next(map(label_of, same), None)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or low is None or high is None or not low <= value <= high:
            return None
        steps = (value - low) / self.search.step if self.search.step else 0.0
        return value if math.isclose(steps, round(steps), abs_tol=1e-9) else None


@dataclass(frozen=True)
class Space:
    """All settings that are searched, of a study.

    Attributes:
        study: The study.
        settings: In the order of `[tune.space]`.
    """

    study: StudySpec
    settings: tuple[SearchedSetting, ...]

    @classmethod
    def of(cls, study: StudySpec, tune: TuneSpec) -> Space:
        """The space of a study's `[tune]`, or the default one, checked.

        Args:
            study: The study that is searched.
            tune: What is searched.

        Raises:
            UnknownNameError: The study has no such setting.
            SpecError: A setting is none of what is searched, or cannot be what is tried for it.

        Example:
            >>> study = StudySpec.model_validate({"methods": {"dense": {}}})
            >>> [each.name for each in Space.of(study, TuneSpec()).settings]
            ['learning_rate', 'optimizer', 'weight_decay', 'batch_size', 'schedule']
        """
        searched = tune.space or default_space(study, tune)
        space = cls(study, tuple(_setting(study, tune, *each) for each in searched.items()))
        _check_places(space)
        for setting in space.settings:
            for value in setting.ends():
                source = f"[tune.space] with {setting.name} = {label_of(value)}"
                space._with({setting.place: value}, source)
        return space

    def distributions(self) -> dict[str, BaseDistribution]:
        """As Optuna has them, by name."""
        return {each.name: each.distribution() for each in self.settings}

    def own(self) -> dict[str, Any] | None:
        """What the search would have found, had it found the study's own settings.

        None where one of them lies outside of the space.
        """
        values = self.study.model_dump(mode="json")
        own = {each.name: each.found(_at(values, each.place)) for each in self.settings}
        return None if None in own.values() else own

    def chosen(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The values that stand in a study, by name."""
        return {each.name: each.value(found[each.name]) for each in self.settings}

    def study_with(self, values: Mapping[str, Any]) -> StudySpec:
        """The study with other values of the settings that are searched, and no `[tune]`.

        Args:
            values: By name, as `chosen` gives them.

        Raises:
            SpecError: Settings contradict each other.
        """
        changes = {each.place: values[each.name] for each in self.settings}
        return self._with(changes, "the settings of a trial")

    def _with(self, changes: Mapping[tuple[str, ...], Any], source: str) -> StudySpec:
        values = self.study.model_dump(mode="json", exclude_unset=True)
        values.pop("tune", None)
        for place, value in changes.items():
            table = values
            for part in place[:-1]:
                table = table.setdefault(part, {})
            table[place[-1]] = value
        return check_study(values, source)


def default_space(study: StudySpec, tune: TuneSpec) -> dict[str, SearchSpec]:
    """What is searched where the study does not say it; its own settings are within it.

    Args:
        study: The study.
        tune: What is searched: the base net's training, or the retraining.
    """
    training = study.training
    base = tune.what == "base"
    rate = training.learning_rate if base else _rate_of(training)
    rates = SearchSpec(low=min(1e-4, rate), high=max(1e-1, rate), log=True)
    schedules = ("constant", "cosine", "linear", "one-cycle")
    if not base:
        return {
            "retrain_learning_rate": rates,
            "retrain_schedule": _with_own(schedules, training.retrain_schedule),
            "retrain_dropout": SearchSpec(choices=("as-built", "scaled")),
            "distill": _with_own((0.0, 0.5, 0.9), training.distill),
        }
    batch = training.batch_size
    return {
        "learning_rate": rates,
        "optimizer": SearchSpec(choices=("adam", "adamw", "sgd")),
        "weight_decay": _with_own((0.0, 1e-4, 1e-3, 1e-2), training.weight_decay),
        "batch_size": SearchSpec(choices=tuple(sorted({max(1, batch // 2), batch, 2 * batch}))),
        "schedule": _with_own(schedules, training.schedule),
    }


def _rate_of(training: TrainingSpec) -> float:
    return training.retrain_learning_rate or training.learning_rate


def _with_own(choices: tuple[Any, ...], own: Any) -> SearchSpec:
    return SearchSpec(choices=choices if own is None or own in choices else (*choices, own))


def _setting(study: StudySpec, tune: TuneSpec, name: str, search: SearchSpec) -> SearchedSetting:
    place = _place(study, tune, name)
    if place[0] == MODEL:
        whole = all(isinstance(one, int | None) for one in (search.low, search.high, search.step))
        return SearchedSetting(name, place, search, whole)
    kinds = _kinds(_table_at(study, place), place[-1])
    if search.choices is None and not kinds & {int, float}:
        raise _wrong(name, "a range of numbers", f"a list of what {place[-1]} takes")
    whole = float not in kinds
    numbers = (search.low, search.high, search.step)
    if whole and any(isinstance(one, float) and not one.is_integer() for one in numbers):
        raise _wrong(name, f"a range with {search.low} to {search.high}", "whole numbers")
    return SearchedSetting(name, place, search, whole)


def _place(study: StudySpec, tune: TuneSpec, name: str) -> tuple[str, ...]:
    """Where a setting stands, given by its name in `[training]` or by its path in the study."""
    table, _, rest = name.partition(".")
    if not rest or table == TRAINING:
        return TRAINING, _known(name, rest or name, _training_settings(tune))
    if table == MODEL:
        return MODEL, "options", rest.removeprefix("options.")
    method, _, option = rest.rpartition(".")
    if table != OF_METHODS or not method:
        raise UnknownNameError("setting to search", name, _training_settings(tune))
    if tune.what == "base":
        raise _wrong(name, "an option of a method", "a setting of the base net's training")
    _known(name, method, study.methods)
    options = set(METHODS[method].options.model_fields) - {_LEVELS}
    return OF_METHODS, method, _known(name, option, options)


def _training_settings(tune: TuneSpec) -> set[str]:
    """Those that change what is trained in a trial."""
    every = set(TrainingSpec.model_fields)
    return every if tune.what == "recipe" else every - _TOTAL


def _known(name: str, word: str, known: Mapping[str, Any] | set[str]) -> str:
    if word in known:
        return word
    if word in TrainingSpec.model_fields:
        raise _wrong(
            name, "a setting of retraining", "one of the base net, or [tune] what = 'recipe'"
        )
    raise UnknownNameError("setting to search", word, known)


def _table_at(study: StudySpec, place: tuple[str, ...]) -> type[BaseModel]:
    return TrainingSpec if place[0] == TRAINING else type(study.methods[place[1]])


def _kinds(table: type[BaseModel], name: str) -> set[type]:
    """The types that a setting takes."""
    annotation = table.model_fields[name].annotation
    return {each for each in (annotation, *get_args(annotation)) if isinstance(each, type)}


def _check_places(space: Space) -> None:
    """Refuse one setting under two names."""
    seen: dict[tuple[str, ...], str] = {}
    for each in space.settings:
        if each.place in seen:
            raise _wrong(each.name, f"the same as {seen[each.place]!r}", "each setting once")
        seen[each.place] = each.name


def _at(values: Any, place: tuple[str, ...]) -> Any:
    for part in place:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values


def _wrong(name: str, given: str, expected: str) -> SpecError:
    return SpecError(
        "reading the space of a search",
        f"tune.space.{name}",
        given=given,
        expected=expected,
        remedy="Mend it in the study file; docs/tuning.md shows a space.",
    )


def words_of(space: Space) -> Iterator[tuple[str, str]]:
    """Every setting's name, and in words what is tried for it.

    Example:
        >>> study = StudySpec.model_validate({"methods": {"dense": {}}})
        >>> space = {"momentum": SearchSpec(low=0.5, high=0.9), "schedule": ["cosine", "step"]}
        >>> for name, words in words_of(Space.of(study, TuneSpec(space=space))):
        ...     print(name, words)
        momentum 0.5 to 0.9
        schedule cosine, step
    """
    for each in space.settings:
        search = each.search
        if search.choices is not None:
            yield each.name, ", ".join(map(label_of, search.choices))
            continue
        more = ", evenly by its logarithm" if search.log else ""
        more += f", in steps of {search.step:g}" if search.step else ""
        yield each.name, f"{search.low:g} to {search.high:g}{more}"
