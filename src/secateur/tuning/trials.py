"""The trials of a search: Optuna suggests them, and keeps them in a file of the run folder.

A trial is told to it before anything is trained, and its end once its value is known. Whoever was
killed in between left trials that are under way: they are begun again with the same settings, so
that a search that was interrupted makes the trials that it would have made.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.study.folder import inside
from secateur.tuning.optuna_file import FILE, import_optuna, make_pruner, opened, recording
from secateur.tuning.record import TrialRecord
from secateur.tuning.space import Space
from secateur.tuning_settings import TuneSpec

_NAME = "secateur"
_STARTUP = 5
"""Trials at random before the sampler goes by what was found."""
_ASKED, _BEFORE, _AGAIN, _OWN, _REASON = "asked", "before", "again", "own", "reason"
_EPOCHS, _SECONDS = "epochs", "seconds"
_LONGEST = 1000


@dataclass(frozen=True)
class BegunTrial:
    """A trial that is under way.

    Attributes:
        trial: Optuna's.
        found: What it suggests for each setting.
    """

    trial: Any
    found: Mapping[str, Any]

    @property
    def number(self) -> int:
        """Optuna's number, which counts interrupted trials too."""
        return int(self.trial.number)

    def note(self, epochs: int, seconds: float) -> None:
        """Keep what was trained for it so far."""
        self.trial.set_user_attr(_EPOCHS, epochs)
        self.trial.set_user_attr(_SECONDS, round(seconds, 3))


class Trials:
    """All trials of a run folder's search; `open` makes one.

    Args:
        study: Optuna's.
        space: What is searched.
        tune: How.
        optuna: The package.
    """

    def __init__(self, study: Any, space: Space, tune: TuneSpec, optuna: Any) -> None:
        self._study = study
        self._space = space
        self._tune = tune
        self._optuna = optuna
        self._states = optuna.trial.TrialState

    @classmethod
    @contextmanager
    def open(
        cls,
        folder: Path,
        space: Space,
        tune: TuneSpec,
        asked: Mapping[str, Any],
        *,
        higher: bool,
        before: int = 0,
    ) -> Iterator[Trials]:
        """Open or make the trials of a folder, which nobody else writes.

        Args:
            folder: The run folder, which is there.
            space: What is searched.
            tune: How.
            asked: Whatever else has to stay as it is for the trials to be of one search.
            higher: Whether more of the value is better.
            before: Epochs consumed before these trials, kept where they begin.

        Raises:
            UsageError: Optuna is not installed.
            StoreError: The file cannot be written, is damaged, or is of another search.
        """
        optuna = import_optuna()
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = inside(folder, FILE)
        storage = None
        try:
            with recording(path), warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                storage = opened(optuna, path)
                study = optuna.create_study(
                    storage=storage,
                    study_name=_NAME,
                    direction="maximize" if higher else "minimize",
                    pruner=make_pruner(optuna, tune.pruner),
                    load_if_exists=True,
                )
                trials = cls(study, space, tune, optuna)
                trials._check_same(folder, asked, before)
                trials._begin_again()
                yield trials
        finally:
            if storage is not None:
                storage.remove_session()
                storage.engine.dispose()
            optuna.logging.set_verbosity(verbosity)

    def _check_same(self, folder: Path, asked: Mapping[str, Any], before: int) -> None:
        """Refuse to go on with another search; a new one begins with the study's own settings."""
        held = self._study.user_attrs.get(_ASKED)
        wanted = json.loads(json.dumps(asked))
        if held is None:
            if not self._all() and (own := self._space.own()) is not None:
                self._study.enqueue_trial(own, user_attrs={_OWN: True})
            self._study.set_user_attr(_BEFORE, before)
            self._study.set_user_attr(_ASKED, wanted)
            return
        known = held if isinstance(held, dict) else {}
        other = [word for word in wanted if known.get(word) != wanted[word]]
        if other:
            raise StoreError(
                "going on with a search",
                str(folder),
                given=f"that of {' and '.join(f'another {word}' for word in other)}",
                expected="a new folder, or the search that it holds",
                remedy="Name another folder with --out (in Python, out=...).",
            )

    def _begin_again(self) -> None:
        """Have what was under way when a search was killed begun again."""
        every = self._all()
        again = {trial.user_attrs.get(_AGAIN) for trial in every}
        for trial in every:
            if trial.state != self._states.RUNNING:
                continue
            # Killed while Optuna was suggesting, it has nothing to go on with.
            if trial.number not in again and trial.params.keys() == self._names():
                own = {_OWN: True} if trial.user_attrs.get(_OWN) else {}
                self._study.enqueue_trial(trial.params, user_attrs={_AGAIN: trial.number, **own})
            self._study.tell(trial.number, state=self._states.FAIL)

    def _names(self) -> set[str]:
        return {each.name for each in self._space.settings}

    def _all(self) -> Sequence[Any]:
        found: Sequence[Any] = self._study.get_trials(deepcopy=False)
        return found

    def _interrupted(self, trial: Any) -> bool:
        """Whether it was killed: what failed by itself has a reason."""
        return trial.state == self._states.FAIL and _REASON not in trial.user_attrs

    def ask(self) -> BegunTrial:
        """Begin another trial: one that was interrupted, else one that the sampler suggests."""
        begun = [one for one in self._all() if one.state != self._states.WAITING]
        # It depends on what was found alone, and not on when this process began.
        place = sum(1 for trial in begun if not self._interrupted(trial))
        self._study.sampler = self._sampler(place)
        trial = self._study.ask(self._space.distributions())
        return BegunTrial(trial, dict(trial.params))

    def _sampler(self, place: int) -> Any:
        seed = numpy.random.SeedSequence([self._tune.seed, place]).generate_state(1)[0]
        return self._optuna.samplers.TPESampler(
            n_startup_trials=_STARTUP, constant_liar=True, seed=int(seed)
        )

    def end(self, begun: BegunTrial, value: float) -> None:
        """Tell a trial's value."""
        self._study.tell(begun.trial, value)

    def fail(self, begun: BegunTrial, reason: str) -> None:
        """Tell that a trial has none."""
        begun.trial.set_user_attr(_REASON, plain(reason, _LONGEST))
        self._study.tell(begun.trial, state=self._states.FAIL)

    def prune(self, begun: BegunTrial) -> None:
        """Tell that a trial was ended early."""
        self._study.tell(begun.trial, state=self._states.PRUNED)

    def records(self) -> tuple[TrialRecord, ...]:
        """Every trial, one that was interrupted together with what came after it."""
        every = {trial.number: trial for trial in self._all()}
        found: list[TrialRecord] = []
        for trial in every.values():
            if trial.state == self._states.WAITING or self._interrupted(trial):
                continue
            chain = [trial]
            while (before := every.get(chain[-1].user_attrs.get(_AGAIN))) is not None:
                chain.append(before)
            found.append(self._record(len(found), chain))
        return tuple(found)

    def _record(self, number: int, chain: Sequence[Any]) -> TrialRecord:
        trial, states = chain[0], self._states
        named = {states.COMPLETE: "done", states.FAIL: "failed", states.PRUNED: "pruned"}
        return TrialRecord(
            number=number,
            state=named.get(trial.state, "under way"),  # type: ignore[arg-type]
            settings=self._space.chosen(trial.params) if trial.params else {},
            value=trial.value,
            epochs=sum(int(one.user_attrs.get(_EPOCHS, 0)) for one in chain),
            seconds=round(sum(float(one.user_attrs.get(_SECONDS, 0)) for one in chain), 3),
            begun=len(chain),
            own=bool(trial.user_attrs.get(_OWN)),
            reason=str(trial.user_attrs.get(_REASON, "")),
        )

    @property
    def before(self) -> int:
        """Epochs that were consumed before the first of these trials."""
        return int(self._study.user_attrs.get(_BEFORE, 0))

    @property
    def ended(self) -> int:
        """How many trials have come to an end of their own."""
        return sum(1 for one in self.records() if one.state != "under way")
