"""What a search has found and consumed, as values: the run folder's store keeps it as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from secateur.errors import StoreError
from secateur.study.decoding import damaged
from secateur.study.store import Store

FACT = "tuning"
State = Literal["done", "failed", "pruned", "under way"]


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: Its place, from 0.
        state: How it ended.
        settings: What it tried, by the names of the space.
        value: The number by which trials compare; None where there is none.
        epochs: Epochs that were trained for it, those of runs that were killed too. A run that an
            earlier trial had made is counted there.
        seconds: Of those runs, added up.
        begun: How often it was begun: once, and again each time that it was interrupted.
        own: Whether it tried the study's own settings.
        reason: Why it failed.
    """

    number: int
    state: State
    settings: dict[str, Any]
    value: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    begun: int = 1
    own: bool = False
    reason: str = ""


@dataclass(frozen=True)
class TuningRecord:
    """A whole search.

    Attributes:
        study: The study's name.
        what: `base` or `recipe`.
        label: What the value is, in words.
        unit: Its unit; `share` of one.
        higher: Whether more of it is better.
        pruner: What ended trials early.
        wanted: How many trials were asked for.
        space: What was tried for each setting, in words.
        trials: In their order.
        before: Epochs that an earlier search for the study's own settings had consumed.
    """

    study: str
    what: str
    label: str
    unit: str
    higher: bool
    pruner: str
    wanted: int
    space: tuple[tuple[str, str], ...]
    trials: tuple[TrialRecord, ...]
    before: int = 0

    @property
    def epochs(self) -> int:
        """All that was trained for the search."""
        return sum(trial.epochs for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Of all runs, added up."""
        return sum(trial.seconds for trial in self.trials)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial, the first of those that tie; None where none is done."""
        sign = 1 if self.higher else -1
        done = [trial for trial in self.trials if trial.state == "done"]
        return max(done, key=lambda one: (sign * (one.value or 0.0), -one.number), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, with `epochs`, `seconds` and the number of the `best` trial."""
        best = None if self.best is None else self.best.number
        return {**asdict(self), "epochs": self.epochs, "seconds": self.seconds, "best": best}


@cache
def _adapter() -> TypeAdapter[TuningRecord]:
    return TypeAdapter(TuningRecord)


def read_tuning(store: Store) -> TuningRecord | None:
    """The search that a run folder holds; None if it is that of a sweep.

    Raises:
        StoreError: What the store has kept is no search.
    """
    found = store.value(FACT)
    if found is None:
        return None
    try:
        record = _adapter().validate_python(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise damaged("its search", f"wrong in {place!r:.80} ({first['msg']})") from None
    _check(record)
    return record


def _check(record: TuningRecord) -> None:
    numbers = [trial.number for trial in record.trials]
    counts = [n for trial in record.trials for n in (trial.epochs, trial.seconds, trial.begun)]
    valued = all(one.value is not None for one in record.trials if one.state == "done")
    if numbers != list(range(len(numbers))) or min(counts, default=0) < 0 or not valued:
        raise damaged("its search", "wrong in its trials")


def without_tuning(store: Store) -> StoreError:
    """The error about a run folder that holds no search."""
    return StoreError(
        "reading a search",
        str(store.folder),
        given="a folder without one",
        expected="the output folder of `secateur tune`",
        remedy="Check the path.",
    )
