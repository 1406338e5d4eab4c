"""The settings of tuning: the `[tune]` of a study."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, field_validator, model_validator

from secateur.foundation.level import Level
from secateur.foundation.numbers import finite_number
from secateur.settings import MOST_EPOCHS, Settings


def _number_or_none(value: object) -> object:
    if value is not None and finite_number(value) is None:
        raise ValueError("a finite number")
    return value


Number = Annotated[int | float | None, PlainValidator(_number_or_none)]


class SearchSpec(Settings):
    """What is tried for one setting: numbers from `low` to `high`, or one of `choices`.

    A list stands for its `choices`. With `log` the logarithm is searched evenly; with `step` only
    every so many from `low` on. Numbers are whole where the setting takes whole ones.

    Example:
        >>> SearchSpec.model_validate(["sgd", "adam"]).choices
        ('sgd', 'adam')
        >>> SearchSpec(low=1e-4, high=1e-1, log=True).log
        True
    """

    low: Number = None
    high: Number = None
    log: bool = False
    step: Number = None
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return {"choices": value}
        if not isinstance(value, Mapping | SearchSpec):
            raise ValueError("a list of values, or a table such as { low = 0.1, high = 0.5 }")
        return value

    @field_validator("choices")
    @classmethod
    def _different(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is None:
            return values
        if not values:
            raise ValueError("at least one value")
        if not all(_is_plain(value) for value in values):
            raise ValueError("words, numbers, true, false, or lists of these")
        if len({label_of(value) for value in values}) < len(values):
            raise ValueError("values that differ")
        return values

    @model_validator(mode="after")
    def _one_kind(self) -> SearchSpec:
        if self.choices is not None:
            if self.log or {self.low, self.high, self.step} != {None}:
                raise ValueError("a list of values, or a range with low and high, not both")
            return self
        if self.low is None or self.high is None:
            raise ValueError("both `low` and `high`, or a list of values")
        if not self.low < self.high:
            raise ValueError("`low` below `high`")
        if self.log and self.low <= 0:
            raise ValueError("`low` above 0, for `log = true`")
        if self.log and self.step is not None:
            raise ValueError("no `step` beside `log = true`")
        if self.step is not None and self.step <= 0:
            raise ValueError("a `step` above 0")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError("a `step` of at most `high - low`")
        return self


class TuneSpec(Settings):
    """What `secateur tune` searches, and how.

    `what` is trained in each trial: the dense net (`base`), or the study's `methods` at its
    `levels` (`recipe`), both of which may be named here instead. `space` says what is tried for
    which setting; see `secateur.tuning.space`. `objective` is of a recipe: the mean of the score
    that chooses, or the methods' mean hypervolume. `pruner` ends trials early that do worse than
    others did; see `secateur.tuning.pruning`. The search makes so many `trials`; it follows from
    `seed`.
    """

    what: Literal["base", "recipe"] = "base"
    space: dict[str, SearchSpec] = Field(default={})
    objective: Literal["quality", "hypervolume"] = "quality"
    methods: tuple[str, ...] = ()
    levels: tuple[Level, ...] = ()
    pruner: Literal["none", "median", "halving"] = "none"
    trials: int = Field(default=20, ge=1, le=MOST_EPOCHS)
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _of_a_recipe(self) -> TuneSpec:
        if self.what == "base" and (self.objective != "quality" or self.methods or self.levels):
            raise ValueError("`what = 'recipe'` beside objective, methods or levels")
        if self.what == "recipe" and self.pruner != "none":
            raise ValueError("no pruner beside `what = 'recipe'`: it goes by a base net's curve")
        return self


def label_of(value: object) -> str:
    """A value as the search knows it: a word as it is, anything else as JSON.

    Example:
        >>> label_of("adam"), label_of([0.5, 0.75])
        ('adam', '[0.5, 0.75]')
    """
    return value if isinstance(value, str) else json.dumps(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(isinstance(each, str | int | float) for each in value)
    return isinstance(value, str | int | float)
