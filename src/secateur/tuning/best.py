"""The study file that a search leaves: the study with the settings of its best trial."""

from __future__ import annotations

from pathlib import Path

from secateur.foundation.toml_text import toml_text
from secateur.spec import GIVEN, StudySpec
from secateur.study.folder import write_whole
from secateur.tuning.record import TuningRecord

FILE = "best.toml"
_LONGEST = 64
_TUNED = "-tuned"


def tuned_study(study: StudySpec, record: TuningRecord) -> StudySpec:
    """The study of a trial, as one that a search has found.

    Args:
        study: With the settings of the trial.
        record: What the search has consumed, which the study's audit states.

    Returns:
        The study by a name of its own, with `tuned_epochs`.
    """
    name = study.name.removesuffix(_TUNED)[: _LONGEST - len(_TUNED)] + _TUNED
    return study.model_copy(
        update={"name": name, "tuned_epochs": record.before + record.epochs, "tune": None}
    )


def write_best(folder: Path, study: StudySpec, record: TuningRecord) -> Path:
    """Write the study file of the best trial.

    Args:
        folder: The run folder.
        study: With the settings of that trial.
        record: Of the search; a trial of it is done.

    Returns:
        The file's path.

    Raises:
        StoreError: It cannot be written.
    """
    tuned = tuned_study(study, record)
    values = tuned.model_dump(mode="json", exclude_unset=True) | {
        "name": tuned.name,
        "tuned_epochs": tuned.tuned_epochs,
    }
    path = folder / FILE
    write_whole(path, f"{_comment(study, record)}{toml_text(values)}".encode())
    return path


def _comment(study: StudySpec, record: TuningRecord) -> str:
    best = record.best
    lines = [
        f"The best of {len(record.trials)} trials of `secateur tune`"
        + (f": trial {best.number}, {record.label} {best.value:.6g}." if best else "."),
        f"The search consumed {record.epochs} epochs: tuned_epochs has them, and names no run.",
    ]
    given = [word for word in ("data", "task") if getattr(study, word).name == GIVEN]
    given += [word for word in ("train", "evaluate") if getattr(study, word) == GIVEN]
    if given:
        lines.append(f"Given in Python, and to be given again: {', '.join(given)}.")
    return "".join(f"# {line}\n" for line in lines)
