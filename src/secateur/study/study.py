"""What a run folder holds, as values: the points, the frontier, the pick."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from secateur.errors import UsageError
from secateur.point import Point
from secateur.registry import METHODS
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import frontier
from secateur.study.metrics import quality_of
from secateur.study.pick import Pick, pick
from secateur.study.store import Store


class _Controls(Collection[str]):
    """The methods that are there to be compared with.

    A store may name any method: only one that is registered is looked up, and one whose package
    does not load is taken for none.
    """

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and name in METHODS and bool(METHODS[name].control)
        except UsageError:
            return False

    def __iter__(self) -> Iterator[str]:
        return (name for name in METHODS if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


CONTROLS: Collection[str] = _Controls()


class RunFolder:
    """What a run folder holds.

    Args:
        folder: A run folder, finished or not.

    Raises:
        StoreError: There is no study in it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._store = Store(self.folder)

    def __repr__(self) -> str:
        left = self._store.missing()
        more = f", {left} runs to be done" if left else ""
        if self.earlier:
            more += f", {self.earlier} points of an earlier plan kept"
        return f"Study({str(self.folder)!r}: {len(self.points)} points{more})"

    @property
    def points(self) -> tuple[Point, ...]:
        """Every measured point, in the order of the plan."""
        return self._store.points()

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """What failed, and why."""
        return self._store.failures()

    @property
    def earlier(self) -> int:
        """How many points of an earlier plan the folder keeps; none of them is in `points`."""
        return self._store.earlier()

    def frontier(self, x: str = "sparsity") -> tuple[Replicate, ...]:
        """The levels that no other beats on both `x` and the mean of the score that chooses."""
        points = self.points
        return frontier(replicates(points), (x, quality_of(points)), CONTROLS)

    def pick(
        self,
        *,
        min_accuracy: float | None = None,
        within: float | None = None,
        at_least: Mapping[str, float] | None = None,
        at_most: Mapping[str, float] | None = None,
        x: str = "sparsity",
    ) -> Pick:
        """The best level that meets every bound; see `secateur.study.pick.pick`."""
        return pick(
            self.points,
            min_accuracy=min_accuracy,
            within=within,
            at_least=at_least,
            at_most=at_most,
            x=x,
            controls=CONTROLS,
        )

    def checkpoint(self, point: Point) -> Path:
        """The file with a point's weights."""
        return self._store.checkpoint(point.digest)
