"""A search, to be looked at: a table of its trials, and its audit in words."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from secateur.foundation.html import plain
from secateur.tuning.record import TrialRecord, TuningRecord
from secateur.tuning_settings import label_of

_LONGEST = 60


def tuning_table(record: TuningRecord) -> Table:
    """The trials as a table: what each tried, its value, what it consumed; the best is bold.

    Example:
        >>> trial = TrialRecord(0, "done", {"momentum": 0.5}, value=0.9, epochs=3)
        >>> space = (("momentum", "0 to 0.9"),)
        >>> record = TuningRecord(
        ...     "demo", "base", "validation accuracy", "share", True, "none", 1, space, (trial,)
        ... )
        >>> tuning_table(record).row_count
        1
    """
    made = Table(box=SIMPLE, show_edge=False, pad_edge=False, header_style="bold")
    names = [name for name, _ in record.space]
    made.add_column("trial", justify="right")
    made.add_column(record.label, justify="right")
    for name in names:
        made.add_column(Text(plain(name, _LONGEST)), overflow="fold", justify="right")
    made.add_column("epochs", justify="right")
    made.add_column("seconds", justify="right")
    made.add_column("", overflow="fold")
    best = record.best
    for trial in record.trials:
        cells = [value_text(record, trial.value), *_settings(trial, names)]
        told = [*cells, f"{trial.epochs:,}", f"{trial.seconds:.1f}", ", ".join(notes(trial))]
        style = "bold" if trial is best else "" if trial.state == "done" else "dim"
        made.add_row(f"{trial.number}", *map(Text, told), style=style)
    return made


def _settings(trial: TrialRecord, names: list[str]) -> Iterator[str]:
    for name in names:
        yield setting_text(trial.settings[name]) if name in trial.settings else "-"


def setting_text(value: object) -> str:
    """A setting's value in few letters.

    Example:
        >>> setting_text(0.0023714531), setting_text("adam"), setting_text([0.5, 0.75])
        ('0.002371', 'adam', '[0.5, 0.75]')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    return plain(label_of(value), _LONGEST)


def value_text(record: TuningRecord, value: float | None) -> str:
    """A trial's value, to four decimals where it is a share, else to five digits."""
    if value is None:
        return "-"
    return f"{value:.4f}" if record.unit == "share" else f"{value:.5g}"


def notes(trial: TrialRecord) -> Iterator[str]:
    """What is to be said of a trial beside its numbers."""
    if trial.own:
        yield "the study's own settings"
    if trial.state != "done":
        yield trial.state
    if trial.begun > 1:
        yield f"begun {trial.begun} times"
    if trial.reason:
        yield plain(trial.reason, _LONGEST)


def audit_words(record: TuningRecord) -> str:
    """What the search has consumed, and what is known of its best trial, in sentences."""
    many = f"{len(record.trials)} trial{'s' * (len(record.trials) != 1)}"
    words = [f"{many} consumed {record.epochs:,} epochs in {record.seconds:.0f} s of runs."]
    if record.before:
        words.append(f"An earlier search had consumed {record.before:,} epochs.")
    best = record.best
    if best is None:
        return f"{words[0]} None is done."
    own = next((one for one in record.trials if one.own and one.state == "done"), None)
    found = f"Best: trial {best.number}, {record.label} {value_text(record, best.value)}"
    if own is best:
        found += ", with the study's own settings"
    elif own is not None:
        found += f"; the study's own settings: {value_text(record, own.value)}"
    return " ".join([*words, f"{found}. Test scores had no part in it."])
