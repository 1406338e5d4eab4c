"""The settings of a study, as words: read from TOML, checked before anything runs, digested."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from secateur.errors import SecateurError, SpecError, UnknownNameError, UsageError
from secateur.foundation.expectation import expectation
from secateur.foundation.granularity import n_of_m, parse_granularity
from secateur.foundation.level import Highest, Level, Levels, Patterns, order
from secateur.foundation.numbers import plain_numbers
from secateur.foundation.toml_file import check_plain, nested, read_toml
from secateur.registry import ALLOCATIONS, DATASETS, EXECUTORS, METHODS, METRICS, MODELS, TASKS
from secateur.settings import LARGEST_COUNT, MOST_EPOCHS, Settings, look_up
from secateur.training_settings import TrainingSpec
from secateur.tuning_settings import SearchSpec, TuneSpec
from secateur.version_settings import with_defaults

GIVEN = "given"
"""The name of data, a task or a function that is handed over in Python."""

WORD = r"^[A-Za-z][A-Za-z0-9_]{0,63}$"
"""What a metric may be called."""

MOST_SEEDS, LARGEST_SEED, MOST_POINTS = 10_000, 1 << 63, 1_000_000
"""A study of more is a slip of the pen, and would fill the memory before it fills a store."""

FILES = ("scores", "masks")
"""The settings that name a file of tensors."""

_SEEDS = "a number of seeds, 1 or more, or a list of distinct ones, each 0 or more"
# What others call it.
_MEANT = {"include": "only", "skip": "exclude", "layers": "only", "ignore": "exclude"}


class Named(Settings):
    """A registered name, or `package.module:function`, and its options."""

    name: str
    options: dict[str, Any] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value


class BaseSpec(Settings):
    """What the dense net starts from: the builder's own weights, or those of a file.

    `checkpoint` is a path: safetensors, or a torch file that holds a state dict.
    """

    checkpoint: str = ""


class MethodSpec(Settings):
    """The levels of one method, and the options that every method takes.

    `scope` overrides that of a method of one part (`l1-filter` with `all` cuts neurons, too);
    `ranking`, `allocation`, `normalize` and `reduce` override the method's own for every part,
    `granularity` for the parts that cut channels or for those that cut weights, whichever it is of;
    `exclude`, `only`, `max_sparsity`, `protected`, `scores` and `masks` stand instead of the
    study's. With the schedule `gradual` there are about so many `cuts`, up to the share `until` of
    the retraining; with `growing` there is one cut at `until`, and the penalty before it rises to
    `ceiling`, on what was chosen at the start or, with `choose_at`, on all weights alike up to that
    height, at which it is chosen; with `dynamic` every layer drops the share `drop` of its
    connections, less and less, `every` so many steps up to `until`, and grows as many by `growth`;
    with `alternating` the net is cut for so many phases (`cuts`), the last of which begins at
    `until`. A method that takes more has a class of its own derived from this one; see
    `Method.options`.
    """

    levels: tuple[Level, ...] = ()
    schedule: (
        Literal["one-shot", "incremental", "gradual", "growing", "dynamic", "alternating"] | None
    ) = None
    until: float | None = Field(default=None, ge=0, le=1)
    cuts: int | None = Field(default=None, ge=1, le=MOST_EPOCHS)
    ceiling: float | None = Field(default=None, gt=0)
    choose_at: float | None = Field(default=None, gt=0)
    drop: float | None = Field(default=None, ge=0, lt=1)
    every: int | None = Field(default=None, ge=1, le=LARGEST_COUNT)
    growth: Literal["random", "gradient"] | None = None
    scope: Literal["all", "conv", "non-conv"] | None = None
    ranking: Literal["global", "layer", "output"] | None = None
    allocation: str | None = None
    normalize: Literal["none", "mean", "l2", "standard", "max"] | None = None
    granularity: Annotated[str, BeforeValidator(parse_granularity)] | None = None
    reduce: Literal["sum", "mean", "max", "first"] | None = None
    exclude: Patterns | None = None
    only: Patterns | None = None
    max_sparsity: Highest | None = None
    protected: float | None = Field(default=None, ge=0, le=1)
    scores: str | None = None
    masks: str | None = None

    @field_validator("levels", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return [value]
        return value.split(",") if isinstance(value, str) else value

    @field_validator("levels")
    @classmethod
    def _ascending(cls, levels: tuple[Levels, ...]) -> tuple[Levels, ...]:
        if len(set(levels)) != len(levels):
            raise ValueError("each level once")
        return tuple(sorted(levels, key=order))


class StudySpec(Settings):
    """A whole study.

    `tune` and `tuned_epochs` name no run: how settings are searched for, and how many epochs the
    search for these has consumed.

    Example:
        >>> study = StudySpec.model_validate({"methods": {"magnitude": {"levels": [0.5, 0.9]}}})
        >>> study.model.name, study.seeds
        ('conv4', (0,))
    """

    version: Literal[1, 2] = 1
    name: str = Field(default="study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    model: Named = Named(name="conv4")
    data: Named = Named(name="fashion-mini")
    task: Named = Named(name="classification")
    train: str = ""
    evaluate: str = ""
    quality: dict[Annotated[str, Field(pattern=WORD)], Literal["higher", "lower"]] = Field(
        default={}
    )
    baseline: float | None = None
    base: BaseSpec = BaseSpec()
    training: TrainingSpec = TrainingSpec()
    levels: tuple[Level, ...] = ((0.5,), (0.7,), (0.8,), (0.9,), (0.95,))
    methods: dict[str, SerializeAsAny[MethodSpec]] = Field(min_length=1)
    seeds: tuple[int, ...] = (0,)
    executor: str = "local"
    metrics: tuple[str, ...] = ()
    exclude: Patterns = ()
    only: Patterns = ()
    prunable: Patterns = ()
    max_sparsity: Highest | None = None
    protected: float = Field(default=0.0, ge=0, le=1)
    scores: str = ""
    masks: str = ""
    tune: TuneSpec | None = None
    tuned_epochs: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: object) -> object:
        return with_defaults(values) if isinstance(values, Mapping) else values

    @field_validator("seeds", mode="before")
    @classmethod
    def _count(cls, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | list | tuple):
            raise ValueError(_SEEDS)
        if isinstance(value, int) and value > MOST_SEEDS:
            raise ValueError(f"at most {MOST_SEEDS:,} seeds")
        return tuple(range(value)) if isinstance(value, int) else value

    @field_validator("levels", mode="before")
    @classmethod
    def _one_level(cls, value: object) -> object:
        return [value] if isinstance(value, int | float | str | Mapping) else value

    @field_validator("seeds")
    @classmethod
    def _some(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError(_SEEDS)
        if len(seeds) > MOST_SEEDS or max(seeds) >= LARGEST_SEED:
            raise ValueError(f"at most {MOST_SEEDS:,} seeds, each below 2^63")
        return seeds

    @field_validator("levels")
    @classmethod
    def _ascending(cls, levels: tuple[Levels, ...]) -> tuple[Levels, ...]:
        return tuple(sorted(set(levels), key=order))

    @field_validator("methods", mode="before")
    @classmethod
    def _with_own_options(cls, methods: object, info: ValidationInfo) -> object:
        if not isinstance(methods, Mapping):
            return methods
        return {
            name: _method_settings(str(name), given, info.context or {})
            for name, given in methods.items()
        }

    @field_validator("model")
    @classmethod
    def _a_builder(cls, model: Named) -> Named:
        if ":" in model.name and not all(model.name.split(":", 1)):
            raise ValueError("package.module:function, as in mynets:build, or a reference net")
        return model

    @field_validator("train", "evaluate")
    @classmethod
    def _a_path(cls, path: str) -> str:
        if path and path != GIVEN and not re.fullmatch(r"[\w.]+:[\w.]+", path):
            raise ValueError("package.module:function, of a function of your own")
        return path

    @model_validator(mode="after")
    def _measured(self) -> StudySpec:
        if self.quality and not self.evaluate:
            raise ValueError("`evaluate` beside `quality`: a function that measures these metrics")
        return self

    @model_validator(mode="after")
    def _countable(self) -> StudySpec:
        points = len(self.seeds) * sum(len(self.levels_of(name)) for name in self.methods)
        if points > MOST_POINTS:
            raise ValueError(f"seeds, methods and levels of at most {MOST_POINTS:,} points in all")
        return self

    @model_validator(mode="after")
    def _known(self, info: ValidationInfo) -> StudySpec:
        known = look_up(info.context or {}, paths=True)
        if self.data.name != GIVEN:
            known(DATASETS, self.data.name)
        if ":" not in self.model.name:
            MODELS.check(self.model.name)
        if self.task.name != GIVEN:
            known(TASKS, self.task.name)
        known(EXECUTORS, self.executor)
        for name in self.metrics:
            known(METRICS, name)
        return self

    def levels_of(self, method: str) -> tuple[Levels, ...]:
        """The levels of a method: its own, or what its `n:m` says, or the study's."""
        spec = self.methods.get(method)
        if spec is None or spec.levels:
            return self.levels if spec is None else spec.levels
        pattern = n_of_m(spec.granularity or "")
        return self.levels if pattern is None else ((pattern.sparsity,),)


def own_options(options: type[MethodSpec]) -> set[str]:
    """The names of the options that a method has beside everybody's."""
    return set(options.model_fields) - set(MethodSpec.model_fields)


def _method_settings(name: str, given: object, context: Mapping[str, Any]) -> MethodSpec:
    look_up(context)(METHODS, name)
    kind = getattr(METHODS[name], "options", None)
    if not (isinstance(kind, type) and issubclass(kind, MethodSpec)):
        raise SpecError(
            f"reading {context.get('source', 'a study')}",
            f"methods.{name}",
            given=f"a {type(METHODS[name]).__name__}",
            expected="a secateur.pruning.method.Method",
            remedy="Name the object that describes the method; see the guide, Extending.",
        )
    if isinstance(given, MethodSpec):
        given = given.model_dump(exclude_unset=True)
    if not context.get("trusted", True) and isinstance(given, Mapping):
        given = {key: value for key, value in given.items() if not _is_idle(kind, key)}
    settings = method_settings(name, kind, given, str(context.get("source", "a study")))
    if settings.allocation is not None:
        look_up(context, paths=True)(ALLOCATIONS, settings.allocation)
    return settings


def method_settings(name: str, options: type[MethodSpec], given: object, source: str) -> MethodSpec:
    """The settings of one method, whether it is registered or not.

    Args:
        name: The method's, for messages.
        options: Its class of settings; see `Method.options`.
        given: A table of settings.
        source: Where they come from, for messages.

    Raises:
        UnknownNameError: The method has no such option.
        SpecError: An option is out of range.

    Example:
        >>> method_settings("mine", MethodSpec, {"ranking": "layer"}, "the options").ranking
        'layer'
    """
    try:
        return options.model_validate(plain_numbers(given))
    except ValidationError as error:
        raise _spec_error(error, source, ("methods", name), options) from None


# Until version 0.1 each method's settings held the options of all, and stores say so.
_OF_ALL_UNTIL_0_1 = ("sparsity_epochs", "penalty", "like")


def _is_idle(kind: type[MethodSpec], key: object) -> bool:
    return key in _OF_ALL_UNTIL_0_1 and key not in kind.model_fields


def read_study(path: Path) -> StudySpec:
    """Read a study file.

    Raises:
        SpecError: The file cannot be read, its TOML is damaged (line and column named), or a
            setting is wrong.
        UnknownNameError: A method, model or data set is unknown.
    """
    return _beside(path, check_study(read_toml(path), str(path)))


def _beside(path: Path, study: StudySpec) -> StudySpec:
    """Paths of a checkpoint, of scores and of masks are relative to the study file."""

    def beside(name: str | None) -> str | None:
        # Of a user that does not exist `~name` stays: there will be no such file.
        return str(path.absolute().parent / os.path.expanduser(name)) if name else name

    changed: dict[str, Any] = {}
    if study.base.checkpoint:
        changed["base"] = BaseSpec(checkpoint=beside(study.base.checkpoint) or "")
    for name in FILES:
        if getattr(study, name):
            changed[name] = beside(getattr(study, name))
    own = {
        method: spec.model_copy(update={name: beside(getattr(spec, name)) for name in FILES})
        for method, spec in study.methods.items()
        if any(getattr(spec, name) for name in FILES)
    }
    if own:
        changed["methods"] = {**study.methods, **own}
    return study.model_copy(update=changed) if changed else study


def check_study(values: Mapping[str, Any], source: str, *, trusted: bool = True) -> StudySpec:
    """Build a study from plain values.

    Args:
        values: The settings, nested as in a study file.
        source: Where they come from, for messages.
        trusted: Whether the user wrote them, so that `package.module:name` in them is imported.
            Of a run folder they are data: names are looked up, and nothing is imported.

    Raises:
        SpecError: A setting is unknown or out of range; the first one is named.
        UnknownNameError: A method, model or data set is unknown.
    """
    try:
        plain = plain_numbers(dict(values))
        check_plain(plain, source)
        return StudySpec.model_validate(plain, context={"source": source, "trusted": trusted})
    except ValidationError as error:
        raise _spec_error(error, source) from None
    except RecursionError:
        raise nested(f"reading {source}") from None


def _spec_error(
    error: ValidationError,
    source: str,
    inside: tuple[str, ...] = (),
    settings: type[BaseModel] | None = None,
) -> SecateurError:
    first = error.errors()[0]
    place = [*inside, *(str(part) for part in first["loc"])]
    if first["type"] == "extra_forbidden":
        return _unknown(place, (settings or _settings_at(place)).model_fields)
    given, expected = first["input"], expectation(first)
    # A check of a whole table that begins with one of its settings is about that one.
    about = re.match(r"`(\w+)` (?:= (?=\d))?(?=of at |\d)", expected)
    if about and isinstance(given, Mapping) and about[1] in given:
        place, given, expected = [*place, about[1]], given[about[1]], expected[about.end() :]
    return SpecError(
        f"reading {source}",
        ".".join(place) or "the study",
        given="left out" if first["type"] == "missing" else _brief(given),
        expected=expected.removeprefix("of "),
        remedy=f"{_nearest(first)}Mend this setting; `secateur studies` shows complete examples.",
    )


def _unknown(place: list[str], known: Collection[str]) -> UnknownNameError:
    """The error about a setting that its table has not, with the table that has it."""
    *table, name = place
    kind = f"setting of [{'.'.join(table)}]" if table else "setting of a study"
    meant = _MEANT.get(name, "")
    homes = _homes_of(name, ".".join(table))
    remedy = f"It is a setting {' or '.join(homes)}." if homes else ""
    return UnknownNameError(kind, name, known, meant if meant in known else "", remedy=remedy)


def _homes_of(name: str, table: str) -> list[str]:
    """Where else in a study file there is a setting of this name, in words."""
    tables: dict[str, type[BaseModel]] = {"training": TrainingSpec, "base": BaseSpec}
    found = {home for home, kind in tables.items() if name in kind.model_fields}
    for method in METHODS:
        with suppress(UsageError):  # of a package that does not load
            options = getattr(METHODS[method], "options", None)
            if isinstance(options, type) and issubclass(options, MethodSpec):
                found |= {f"methods.{method}"} if name in own_options(options) else set()
    if name in MethodSpec.model_fields and not found:
        found = {"methods.NAME"}
    above = ["above all tables"] if table and name in StudySpec.model_fields else []
    return above + [f"of [{home}]" for home in sorted(found - {table})]


def _nearest(error: Any) -> str:
    """The word that was probably meant, of a setting that takes one of a few words."""
    words = re.findall(r"'([^']*)'", error.get("ctx", {}).get("expected", ""))
    near = difflib.get_close_matches(str(error["input"]), words, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}? " if near else ""


def _brief(value: object) -> str:
    only_name = isinstance(value, Mapping) and set(value) == {"name"}
    text = repr(value["name"] if only_name else value)  # type: ignore[index]
    return text if len(text) <= 60 else text[:57] + "..."


def _settings_at(place: list[str]) -> type[BaseModel]:
    kinds: dict[str, type[BaseModel]] = {
        **dict.fromkeys(("model", "data", "task"), Named),
        "training": TrainingSpec,
        "base": BaseSpec,
        "tune": SearchSpec if place[1:2] == ["space"] else TuneSpec,
    }
    return kinds.get(place[0], StudySpec) if len(place) > 1 else StudySpec


def digest(values: Mapping[str, Any]) -> str:
    """The SHA-256 that names a run: of its settings as canonical JSON.

    Settings at their default are left out by the callers, so that a new option with a default
    leaves every old digest as it was.

    Example:
        >>> digest({"a": 1})[:8]
        '015abd7f'
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def chosen(settings: BaseModel, only: set[str] | None = None) -> dict[str, Any]:
    """The settings that differ from their defaults, as JSON values."""
    return settings.model_dump(mode="json", exclude_defaults=True, include=only)
