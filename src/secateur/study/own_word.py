"""One's own word: what a run folder names is data, until the user names it too."""

from __future__ import annotations

import re
from pathlib import Path

from secateur.errors import UsageError
from secateur.registry import DATASETS, MODELS, TASKS
from secateur.spec import Named, StudySpec

_WORD = re.compile(r"[A-Za-z0-9_.+-]{0,64}")


def check_harmless(study: StudySpec, folder: Path) -> None:
    """Refuse to run a study on a folder's word alone where that would import or open something.

    Args:
        study: What the folder says.
        folder: The run folder.

    Raises:
        UsageError: It names code or files.
    """
    for what, path in (
        ("the loop", study.train or study.evaluate),
        ("the trained start", study.base.checkpoint),
    ):
        if path:
            raise _refused(what, str(path), folder)
    for what, named, known in (
        ("the network", study.model, MODELS),
        ("the data", study.data, DATASETS),
        ("the task", study.task, TASKS),
    ):
        if named.name not in known or not _is_plain(named):
            raise _refused(what, named.name, folder)
    for option, value in study.data.options.items():
        if isinstance(value, str):
            raise _refused("the data", f"{study.data.name} with {option} = {value}", folder)


def is_harmless(value: object) -> bool:
    """Whether an option is a number or a plain word, which is no path.

    Example:
        >>> is_harmless([1, "relu"]), is_harmless("../x")
        (True, False)
    """
    if isinstance(value, list):
        return all(map(is_harmless, value))
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, int | float)


def _is_plain(named: Named) -> bool:
    return all(map(is_harmless, named.options.values()))


def _refused(what: str, given: str, folder: Path) -> UsageError:
    return UsageError(
        "reading a run folder",
        what,
        given=f"{given!r:.80}, by the word of {folder} alone",
        expected="your own word for it: what a run folder names is neither imported nor opened",
        remedy=f"Give the study file instead: secateur sensitivity study.toml --out {folder}.",
    )
