"""What a run folder holds, as values: the points, the frontier, the pick."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from secateur.errors import UsageError
from secateur.point import Point
from secateur.registry import METHODS
from secateur.study.aggregate import Replicate, replicates
from secateur.study.export import Builder
from secateur.study.frontier import frontier
from secateur.study.int8_points import shown_points, source_of
from secateur.study.metrics import quality_of
from secateur.study.pick import pick
from secateur.study.store import Store
from secateur.study.stored_pick import StoredPick


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
        model: What builds its network, `package.module:function` or the function itself, for what
            is exported of it. Not needed for a reference net.

    Raises:
        StoreError: There is no study in it.
    """

    def __init__(self, folder: str | Path, model: Builder | None = None) -> None:
        self.folder = Path(folder)
        self._store = Store(self.folder)
        self._builder = model

    def __repr__(self) -> str:
        left = self._store.missing()
        more = f", {left} runs to be done" if left else ""
        if self.earlier:
            more += f", {self.earlier} points of an earlier plan kept"
        return f"Study({str(self.folder)!r}: {len(self.points)} points{more})"

    @property
    def points(self) -> tuple[Point, ...]:
        """Every measured point, in the order of the plan, and behind them those in INT8."""
        return shown_points(self._store)

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """What failed, and why."""
        return self._store.failures()

    @property
    def earlier(self) -> int:
        """How many points of an earlier plan the folder keeps; none of them is in `points`."""
        return self._store.earlier()

    @property
    def earlier_points(self) -> tuple[Point, ...]:
        """The points of an earlier plan: its levels, methods or network were others."""
        return self._store.earlier_points()

    def frontier(self, x: str = "sparsity") -> tuple[Replicate, ...]:
        """The levels that no other beats on both `x` and the mean of the score that chooses."""
        points = self.points
        return frontier(replicates(points), (x, quality_of(points)), CONTROLS)

    def pick(
        self,
        *,
        min_accuracy: float | None = None,
        min_quality: float | None = None,
        within: float | None = None,
        at_least: Mapping[str, float] | None = None,
        at_most: Mapping[str, float] | None = None,
        x: str = "sparsity",
    ) -> StoredPick:
        """The best level that meets every bound; see `secateur.study.pick.pick`.

        `study.pick(within=0.02).export("small.onnx")` writes its network to a file.
        """
        found = pick(
            self.points,
            min_accuracy=min_accuracy,
            min_quality=min_quality,
            within=within,
            at_least=at_least,
            at_most=at_most,
            x=x,
            controls=CONTROLS,
        )
        return StoredPick.of(found, self.folder, self._builder)

    def checkpoint(self, point: Point) -> Path:
        """The file with a point's weights; of one in INT8, with those that were quantised."""
        return self._store.checkpoint(source_of(self._store, point).digest)
