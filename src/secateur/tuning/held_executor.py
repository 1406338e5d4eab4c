"""The executor of a round of trials, held so that single runs of it can be ended."""

from __future__ import annotations

from dataclasses import dataclass

from secateur.errors import UsageError
from secateur.study.executors.protocol import Executor, StoppingExecutor
from secateur.study.executors.workers import MakeExecutor


@dataclass
class HeldExecutor:
    """What makes an executor, and has runs of the last one ended.

    Attributes:
        make: Makes it.
        pruner: What ends runs; `none` asks nothing of an executor.
        last: The one that was made last.
    """

    make: MakeExecutor
    pruner: str
    last: Executor | None = None

    def __call__(self, workers: int) -> Executor:
        """Make one.

        Raises:
            UsageError: It ends no run by itself, and there is a pruner.
        """
        self.last = self.make(workers)
        if self.pruner != "none" and not isinstance(self.last, StoppingExecutor):
            raise UsageError(
                "searching for settings",
                "the pruner",
                given=f"{self.pruner!r} with an executor that ends no run by itself",
                expected="pruner = 'none', or an executor with a method `stop`",
                remedy="Leave --pruner out; see secateur.study.executors.protocol.",
            )
        return self.last

    def stop(self, digest: str) -> None:
        """End a run that is performed now."""
        if isinstance(self.last, StoppingExecutor):
            self.last.stop(digest)
