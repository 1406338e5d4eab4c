"""The queue of a sweep: which runs wait, which may start, and which follow each other in one place.

Every question costs no more than the runs that it is about: a plan of ten thousand is not gone
through again whenever one of them ends.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence

from secateur.study.plan import Run


class RunQueue:
    """The runs that are left to do.

    Args:
        runs: The plan, each run after its parents.
        finished: The digests of those that are done.
    """

    def __init__(self, runs: Sequence[Run], finished: Collection[str] = ()) -> None:
        left = [run for run in runs if run.digest not in finished]
        self._plan = {run.digest: run for run in runs}
        self._place = {run.digest: place for place, run in enumerate(runs)}
        self._runs = {run.digest: run for run in left}
        self._behind = _epochs_behind(runs)
        self._children: dict[str, list[Run]] = {}
        self._blocked: dict[str, set[str]] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._taken: set[str] = set()
        for run in left:
            self._blocked[run.digest] = {p for p in run.parents.values() if p in self._runs}
            for parent in self._blocked[run.digest]:
                self._children.setdefault(parent, []).append(run)
            self._offer(run)

    def __len__(self) -> int:
        """How many runs have not been taken."""
        return len(self._runs) - len(self._taken)

    def __contains__(self, digest: object) -> bool:
        """Whether a run has neither ended nor failed."""
        return digest in self._runs

    @property
    def ready(self) -> bool:
        """Whether a run may start now."""
        while self._ready and not self._may_start(self._ready[0][2]):
            heapq.heappop(self._ready)
        return bool(self._ready)

    def _may_start(self, digest: str) -> bool:
        """Whether an entry still holds: it does not if its run was taken or has to wait again."""
        there = digest in self._runs and digest not in self._taken
        return there and not self._blocked[digest]

    def take(self) -> Run:
        """The run that may start now and that others wait for longest; of equals the first.

        Only while there is one that is `ready`.
        """
        if not self.ready:
            raise IndexError("no run may start now")
        run = self._runs[heapq.heappop(self._ready)[2]]
        self._taken.add(run.digest)
        return run

    def take_chain(self) -> tuple[Run, ...]:
        """The run that `take` gives, and those that can only be done after it, one by one.

        An incremental method's levels follow each other, and the first of them its preparation.
        Levels that start from one net could be done at the same time: they are chains of their own,
        and so is a base net.
        """
        chain = [self.take()]
        while (following := self._following(chain)) is not None:
            self._taken.add(following.digest)
            chain.append(following)
        return tuple(chain)

    def _following(self, chain: Sequence[Run]) -> Run | None:
        last, inside = chain[-1], {run.digest for run in chain}
        waiting = [] if last.is_base else self._children.get(last.digest, [])
        next_level = [run for run in waiting if run.parents.get("previous") == last.digest]
        # What only begins when its preparation ends begins at its first level.
        first_level = [run for run in waiting if "previous" not in run.parents]
        able = next_level or first_level
        if len(able) != 1 or not self._blocked[able[0].digest] <= inside:
            return None
        return None if able[0].digest in self._taken else able[0]

    def set_aside(self, digests: Iterable[str]) -> set[str]:
        """Take runs out that somebody else performs; returns those that waited here."""
        waiting = self._runs.keys() - self._taken
        found = waiting.intersection(digests)
        self._taken |= found
        return found

    def put_back(self, digests: Iterable[str]) -> None:
        """Let runs wait again that were taken or set aside and have not ended."""
        for digest in self._runs.keys() & digests:
            self._taken.discard(digest)
            self._wait_again(self._runs[digest])

    def make_again(self, lost: Collection[str], taken: Sequence[Run]) -> None:
        """Put finished runs back whose files are lost: whatever starts from them waits once more.

        Args:
            lost: Their digests.
            taken: The runs that were taken and could not begin for want of them.
        """
        self._taken -= {run.digest for run in taken}
        for digest in lost:
            self._runs[digest] = self._plan[digest]
        for digest in sorted(self._runs.keys() - self._taken, key=self._place.__getitem__):
            self._wait_again(self._runs[digest])

    def _wait_again(self, run: Run) -> None:
        parents = {p for p in run.parents.values() if p in self._runs}
        for parent in parents - self._blocked.get(run.digest, set()):
            self._children.setdefault(parent, []).append(run)
        self._blocked[run.digest] = parents
        self._offer(run)

    def end(self, run: Run) -> None:
        """Note that a run is done: what waited for it alone may start."""
        for child in self._children.pop(run.digest, ()):
            self._blocked[child.digest].discard(run.digest)
            self._offer(child)
        self._drop(run)

    def fail(self, run: Run) -> Iterator[tuple[Run, Run]]:
        """Note that a run has failed.

        Yields:
            In the plan's order each run that will never start, and the parent for want of which.
        """
        lost = {run.digest: run}
        waiting = self._places_behind(run)
        self._drop(run)
        while waiting:
            orphan = self._runs.get(heapq.heappop(waiting)[1])
            if orphan is None:
                continue  # two ways lead to it
            parent = next(lost[p] for p in orphan.parents.values() if p in lost)
            lost[orphan.digest] = orphan
            for entry in self._places_behind(orphan):
                heapq.heappush(waiting, entry)
            self._drop(orphan)
            yield orphan, parent

    def _places_behind(self, run: Run) -> list[tuple[int, str]]:
        return sorted((self._place[c.digest], c.digest) for c in self._children.pop(run.digest, ()))

    def _offer(self, run: Run) -> None:
        if not self._blocked[run.digest] and run.digest not in self._taken:
            entry = (-self._behind[run.digest], self._place[run.digest], run.digest)
            heapq.heappush(self._ready, entry)

    def _drop(self, run: Run) -> None:
        self._runs.pop(run.digest, None)
        self._taken.discard(run.digest)


def _epochs_behind(runs: Sequence[Run]) -> dict[str, int]:
    """Epochs on the longest chain of runs that starts with each run."""
    behind: dict[str, int] = {}
    for run in reversed(runs):
        behind[run.digest] = behind.get(run.digest, 0) + run.epochs
        for parent in run.parents.values():
            behind[parent] = max(behind.get(parent, 0), behind[run.digest])
    return behind
