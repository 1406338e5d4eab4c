"""Pruning of trials: one that does worse than others did at the same epoch is not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from secateur.study.observer import Silent
from secateur.study.plan import Run
from secateur.tuning.trials import BegunTrial


class TrialPruning(Silent):
    """An observer that has the runs of a trial ended when its pruner says so.

    It goes by the mean of the validation score over the seeds, once all of them are as far. In the
    last epoch nothing is ended any more.

    Args:
        trials: Those under way, each with the runs of its study.
        stop: Ends a run that is under way, by its digest.
    """

    def __init__(
        self,
        trials: Sequence[tuple[BegunTrial, Sequence[Run]]],
        stop: Callable[[str], None],
    ) -> None:
        self._of = {run.digest: one for one, runs in reversed(trials) for run in runs}
        self._runs = {one.number: [run.digest for run in runs] for one, runs in trials}
        self._scores: dict[tuple[int, int], dict[str, float]] = {}
        self._stop = stop
        self._under_way: set[str] = set()
        self._ending: set[int] = set()
        self.stopped: set[str] = set()

    def started(self, run: Run) -> None:
        """Of a trial that is pruned already nothing is begun."""
        self._under_way.add(run.digest)
        if self._of[run.digest].number in self._ending:
            self._end(run.digest)

    def ended(self, run: Run, reason: str) -> None:  # noqa: ARG002
        """There is nothing left to end."""
        self._under_way.discard(run.digest)

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """Ask the pruner, once every seed is as far."""
        trial, number = self._of[run.digest], int(values["epoch"])
        score = next((one for name, one in values.items() if name.startswith("val_")), None)
        if score is None or number >= run.epochs or trial.number in self._ending:
            return
        found = self._scores.setdefault((trial.number, number), {})
        found[run.digest] = score
        if len(found) == len(self._runs[trial.number]):
            self._ask(trial, number, sum(found.values()) / len(found))

    def _ask(self, trial: BegunTrial, epoch: int, score: float) -> None:
        trial.trial.report(score, epoch)
        if trial.trial.should_prune():
            self._ending.add(trial.number)
            for digest in self._runs[trial.number]:
                self._end(digest)

    def _end(self, digest: str) -> None:
        self.stopped.add(digest)
        if digest in self._under_way:
            self._stop(digest)
