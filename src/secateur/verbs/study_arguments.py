"""The arguments in Python that say what a study is, as its settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from secateur.errors import SpecError
from secateur.pruning.method import spelt_out
from secateur.spec import GIVEN, StudySpec, check_study

if TYPE_CHECKING:
    from torch import nn

    from secateur.data.data import Data
    from secateur.training.loop import Loop

METHODS = ("magnitude", "l1-filter", "dense")
OPTIONAL = ("max_sparsity", "protected", "train", "evaluate", "quality", "baseline", "checkpoint")
"""Those that may be None."""
WORDS = (
    *OPTIONAL,
    *("methods", "levels", "seeds", "name", "version", "exclude", "only", "prunable"),
    *("scores", "masks", "task"),
)
"""The arguments of `sweep` that say what a study is, beside its model, data and training."""


def study_of(
    model: str | Callable[..., nn.Module],
    data: str | Data,
    words: Mapping[str, Any],
    training: Mapping[str, Any],
) -> StudySpec:
    """The study that the arguments of `sweep` describe.

    Args:
        model: As for `sweep`.
        data: As for `sweep`.
        words: By name, those of `WORDS` that were given.
        training: Fields of `TrainingSpec`.

    Raises:
        UsageError: It is none.
    """
    if not isinstance(data, str):
        from secateur.data.data import check_data

        check_data(data, "beginning a study")
    methods = words.get("methods", METHODS)
    methods = [methods] if isinstance(methods, str) else methods
    for each in methods if isinstance(methods, Iterable) else [methods]:
        if not isinstance(each, str):
            raise _wrong("methods", each, "names of methods, or a table of names and options")
    table = methods if isinstance(methods, Mapping) else {each: {} for each in spelt_out(methods)}
    task = words.get("task", "classification")
    usual = {word: one for word, one in words.items() if one is not None or word not in OPTIONAL}
    checkpoint = usual.pop("checkpoint", "")
    settings = {
        **usual,
        "model": model if isinstance(model, str) else _name_of(model),
        "data": data if isinstance(data, str) else GIVEN,
        "methods": table,
        "training": dict(training),
        **{word: str(words.get(word, "")) for word in ("scores", "masks")},
        "task": task if isinstance(task, str | Mapping) else GIVEN,
        **{word: _path_or_given(words.get(word)) for word in ("train", "evaluate")},
        "base": {"checkpoint": str(checkpoint)},
    }
    return check_study(settings, "the arguments")


_SHAPES: Mapping[str, tuple[Any, str]] = {
    "out": (str | PathLike | None, "a path"),
    "device": (str, "auto, cpu, cuda, cuda:N or mps"),
    "workers": (int | None, "a whole number, or None"),
    "timeout": (int | float | None, "seconds, or None"),
    "copy_to": (str | None, "an address such as s3://bucket/mine, or None"),
    "ray": (str, "auto, local or HOST:PORT"),
    "cpus_per_run": (int | float, "a number"),
    "gpus_per_run": (int | float, "a number"),
}
"""Of the arguments that say where runs are performed and kept: their types, and that in words."""


def check_places(**places: object) -> None:
    """Refuse what is no folder, device, number of workers or of seconds, address or place on Ray.

    Raises:
        SpecError: One of them is of another type.
    """
    for subject, value in places.items():
        kinds, words = _SHAPES[subject]
        if not isinstance(value, kinds):
            raise _wrong(subject, value, words)


def _path_or_given(function: object) -> str:
    """How settings name a function: by its path, or as handed over."""
    if function is None:
        return ""
    return function if isinstance(function, str) else GIVEN


def given_loop(task: object, train: object, evaluate: object) -> Loop:
    """What was handed over in Python, for the settings that say so."""
    from secateur.tasks.classification import Classification
    from secateur.tasks.task import Task
    from secateur.training.loop import Loop

    return Loop(
        task if isinstance(task, Task) else Classification(),
        train if callable(train) else None,
        evaluate if callable(evaluate) else None,
    )


def _wrong(subject: str, value: object, expected: str) -> SpecError:
    return SpecError(
        "reading the arguments",
        subject,
        given=f"a {type(value).__name__}",
        expected=expected,
        remedy="Mend this argument.",
    )


def _name_of(function: Callable[..., nn.Module]) -> str:
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', 'model')}"
