"""A search over the settings of a study, in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.foundation.html import Cell, paragraph, table
from secateur.report.tuning import audit_words, setting_text, value_text
from secateur.spec import check_study
from secateur.study.store import Store
from secateur.tuning.best import FILE
from secateur.tuning.record import TrialRecord, read_tuning, without_tuning
from secateur.verbs.study_arguments import WORDS, check_places, given_loop, study_of

if TYPE_CHECKING:
    from torch import nn

    from secateur.data.data import Data
    from secateur.study.observer import Observer


class Tuning:
    """What a search has found and consumed, of its run folder; a notebook shows the trials.

    Args:
        folder: A run folder of `tune`, finished or not.

    Raises:
        StoreError: There is no search in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        store = Store(self.folder)
        found = read_tuning(store)
        if found is None:
            raise without_tuning(store)
        self.record = found

    def __repr__(self) -> str:
        return f"Tuning({str(self.folder)!r}: {audit_words(self.record)})"

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """Every trial, in its order."""
        return self.record.trials

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None where none is done."""
        return self.record.best

    @property
    def epochs(self) -> int:
        """All epochs that the search has consumed."""
        return self.record.epochs

    @property
    def study_file(self) -> Path:
        """The study with the settings of the best trial, for `secateur sweep`."""
        return self.folder / FILE

    def _repr_html_(self) -> str:
        names = [name for name, _ in self.record.space]
        rows: list[list[Cell]] = [
            [
                one.number,
                value_text(self.record, one.value),
                *(setting_text(one.settings.get(name, "-")) for name in names),
                one.epochs,
            ]
            for one in self.trials
        ]
        bold = [one.number for one in self.trials if one is self.best]
        heads = ["trial", self.record.label, *names, "epochs"]
        return f"<div>{paragraph(audit_words(self.record))}{table(heads, rows, bold=bold)}</div>"


def tune(
    model: str | Callable[..., nn.Module] = "conv4",
    data: str | Data = "fashion-mini",
    *,
    space: Mapping[str, Any] | None = None,
    what: str = "base",
    objective: str = "quality",
    pruner: str = "none",
    trials: int = 20,
    seconds: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
    observer: Observer | None = None,
    **study: Any,
) -> Tuning:
    """Search the settings of a study's training by Optuna, or go on where that stopped.

    Needs the extra `tune`. Runs are performed in worker processes, so a script calls this under
    `if __name__ == "__main__":`.

    Args:
        model: As for `sweep`.
        data: As for `sweep`.
        space: What is tried for which setting, as in `[tune.space]` of a study file: a list, or a
            table with `low`, `high`, `log`, `step`; a usual one if None.
        what: `base`: the dense net's training; `recipe`: the retraining of the methods' nets.
        objective: Of a recipe: `quality`, the mean of the score that chooses, or `hypervolume`.
        pruner: Ends trials early that do worse than others: `none`, `median`, `halving`.
        trials: How many are to have ended, those of an earlier call included.
        seconds: After so many no trial is begun.
        seed: Of the search.
        out: The run folder; `runs/NAME-tuning` by default.
        device: As for `sweep`.
        workers: As for `sweep`; as many trials run at a time as have room.
        threads: As for `sweep`.
        timeout: As for `sweep`.
        observer: As for `sweep`.
        **study: The other arguments of `sweep`: `methods`, `levels`, `seeds`, `base_epochs`, ...

    Raises:
        UsageError: Something asked for cannot be, or Optuna is not installed; nothing was trained.
        StoreError: The folder is of another search or of a sweep.
    """
    # Reading a search takes no torch, making one does.
    from secateur.tuning.tune import tune_study

    words = {name: value for name, value in study.items() if name in WORDS}
    training = {name: value for name, value in study.items() if name not in WORDS}
    spec = study_of(model, data, words, training)
    check_places(out=out, device=device, workers=workers, timeout=timeout)
    asked = {
        "what": what,
        "objective": objective,
        "pruner": pruner,
        "trials": trials,
        "seed": seed,
        "space": space or {},
    }
    values = spec.model_dump(mode="json", exclude_unset=True)
    spec = check_study({**values, "tune": asked}, "the arguments")
    folder = Path(out) if out is not None else Path("runs") / f"{spec.name}-tuning"
    tune_study(
        spec,
        folder,
        model=None if isinstance(model, str) else model,
        data=None if isinstance(data, str) else data,
        given=given_loop(study.get("task", ""), study.get("train"), study.get("evaluate")),
        seconds=seconds,
        device=device,
        workers=workers,
        threads=threads,
        timeout=timeout,
        observer=observer,
    )
    return Tuning(folder)
