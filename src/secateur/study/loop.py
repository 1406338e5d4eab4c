"""The loop of a study, as its settings say it or as it is handed over in Python."""

from __future__ import annotations

from typing import Any

from secateur.errors import SpecError
from secateur.registry import imported
from secateur.spec import GIVEN, StudySpec
from secateur.tasks.task import Quality, Task, find_task
from secateur.training.loop import Loop


def loop_of(study: StudySpec, given: Loop | None = None) -> Loop:
    """How the nets of a study are trained and scored.

    Args:
        study: The settings; what they name is imported.
        given: What was handed over in Python, for the settings that say so.

    Raises:
        UsageError: A path leads to nothing, or to something else.

    Example:
        >>> study = StudySpec.model_validate({"task": "regression", "methods": {"dense": {}}})
        >>> [one.metric for one in loop_of(study).qualities]
        ['rmse', 'mae', 'r2']
    """
    quality = tuple(
        Quality(word, higher=direction == "higher") for word, direction in study.quality.items()
    )
    return Loop(
        _task(study, given),
        _function("train", study.train, given and given.train),
        _function("evaluate", study.evaluate, given and given.evaluate),
        quality,
    )


def _task(study: StudySpec, given: Loop | None) -> Task:
    if study.task.name != GIVEN:
        return find_task(study.task.name, study.task.options)
    if given is None:
        raise _lost("task")
    return given.task


def _function(setting: str, path: str, given: Any) -> Any:
    if not path:
        return None
    found = given if path == GIVEN else imported(f"function for `{setting}`", path)
    if found is None:
        raise _lost(setting)
    if not callable(found):
        raise SpecError(
            "reading a study",
            setting,
            given=f"{path!r}, a {type(found).__name__}",
            expected="a function",
            remedy="Name the function, after the colon.",
        )
    return found


def _lost(setting: str) -> SpecError:
    return SpecError(
        "reading a study",
        setting,
        given=f"{GIVEN!r}, which was handed over in Python",
        expected="the same function or object, passed again",
        remedy="Go on with the study from Python, or name it as package.module:name.",
    )
