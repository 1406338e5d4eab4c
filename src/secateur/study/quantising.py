"""Quantising: points of a study in INT8, measured and kept beside the points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from secateur.artifact.calling import Call, call_of
from secateur.artifact.int8 import OPERATION, feeds
from secateur.foundation.run_example import Inputs
from secateur.point import Point
from secateur.study.export import PointNet, check_target, file_for, make_folder, point_net
from secateur.study.int8 import INT8, Quantised, beside, measuring, pass_of, quantised
from secateur.study.int8_points import Int8Point, int8_point, write_int8
from secateur.study.store import Store
from secateur.study.timing import Maker, time_points


def quantise_points(
    folder: Path,
    points: Sequence[Point],
    study: str | None = None,
    *,
    timing: bool = True,
    on_point: Callable[[Point, Quantised, Path], None] | None = None,
) -> tuple[Int8Point, ...]:
    """Quantise points of a study, measure their files, and keep that in the store.

    Args:
        folder: The run folder; no sweep may be writing it.
        points: Points of its plan.
        study: The user's own study file, where the folder names code or files.
        timing: Time them, and in the same rounds all points of the plan anew.
        on_point: Told of each as soon as it is measured: the point, its file's measures, the file.

    Raises:
        UsageError: The folder names code or files, and there is no study file.
        ArtifactError: A network cannot be quantised, or a file cannot be written.
        ModelError: A network cannot be exported.
        StoreError: The folder cannot be written.
    """
    with Store.writing(folder) as store, beside(study):
        held = measuring(store, None, study)
        found: dict[str, tuple[Point, Quantised]] = {}
        makers: dict[str, Maker] = {}
        for point in points:
            path = file_for(store, point, "onnx", "int8")
            check_target(path)
            make_folder(path.parent)
            made = point_net(store, point, None, study)
            measured = quantised(made, held, path, seconds=0)
            found[point.digest] = point, measured
            makers[point.digest] = _maker(made, path)
            if on_point is not None:
                on_point(point, measured, path)
        times = time_points(store, held.setup, held.data, _told, makers) if timing else {}
        every = tuple(
            int8_point(point, one.scores, one.bytes[0], times.get(digest, ()))
            for digest, (point, one) in found.items()
        )
        write_int8(store, every)
    return every


def _maker(made: PointNet, path: Path) -> Maker:
    call: Call = call_of(made.small, made.example, OPERATION)

    def make(inputs: Inputs, threads: int) -> tuple[str, Callable[[], object]]:
        (feed,) = feeds(call, [inputs])
        return INT8, pass_of(path, feed, threads)

    return make


def _told(_nets: int) -> None:
    """How many nets are timed is shown by a sweep alone."""


def levels_to_quantise(
    points: Iterable[Point], best: Iterable[tuple[str, int]], dense: str = "dense"
) -> list[Point]:
    """The points of the levels that are worth a second measure: the frontier's, and the dense nets.

    Args:
        points: Of the plan.
        best: Method and step of each level on the frontier.
        dense: The method that is always among them.
    """
    wanted = set(best)
    return [one for one in points if one.method == dense or (one.method, one.step) in wanted]
