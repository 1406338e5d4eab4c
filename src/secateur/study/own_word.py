"""One's own word: what a run folder names is data, until the user names it too."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from secateur.errors import UsageError
from secateur.foundation.harmless import is_harmless
from secateur.registry import DATASETS, MODELS, TASKS
from secateur.spec import FILES, StudySpec


def check_harmless(study: StudySpec, folder: Path, handed: Collection[str] = ()) -> None:
    """Refuse to run a study on a folder's word alone where that would import or open something.

    Args:
        study: What the folder says.
        folder: The run folder.
        handed: What the user hands over instead: `model`, `data`.

    Raises:
        UsageError: It names code or files.
    """
    every = (study, *study.methods.values())
    for what, path in (
        ("the loop", study.train or study.evaluate),
        ("the trained start", study.base.checkpoint),
        *(("scores or masks", getattr(one, name)) for one in every for name in FILES),
    ):
        if path:
            raise _refused(what, str(path), folder)
    for what, named, known in (
        ("model", study.model, MODELS),
        ("data", study.data, DATASETS),
        ("task", study.task, TASKS),
    ):
        harmless = named.name in known and all(map(is_harmless, named.options.values()))
        if what not in handed and not harmless:
            raise _refused(f"the {what}", named.name, folder)
    for option, value in () if "data" in handed else study.data.options.items():
        if isinstance(value, str):
            raise _refused("the data", f"{study.data.name} with {option} = {value}", folder)


def _refused(what: str, given: str, folder: Path) -> UsageError:
    return UsageError(
        "reading a run folder",
        what,
        given=f"{given!r:.80}, by the word of {folder} alone",
        expected="your own word for it: what a run folder names is neither imported nor opened",
        remedy=f"Give the study file instead (secateur sensitivity study.toml --out {folder}); in "
        "Python hand over model= and data=.",
    )
