"""What a run folder says, as JSON that is committed beside the study: all that a table needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from secateur.point import Point, Score, Share
from secateur.study.frontier import hypervolume
from secateur.study.study import RunFolder

AXES = ("sparsity", "conv_sparsity")


def facts_of(point: Point) -> dict[str, Any]:
    """What a table may say of a point. Shares are pairs of integers, times are in seconds."""
    return {
        "method": point.method,
        "level": point.level_name,
        "seed": point.seed,
        "val": _counts(point.val),
        "test": _counts(point.test),
        "before": _counts(point.before[0]) if point.before else None,
        "sparsity": _pair(point.sparsity),
        "conv_sparsity": _pair(point.conv_sparsity),
        "parameters": point.parameters,
        "nonzero": point.nonzero,
        "compact_parameters": point.compact_parameters,
        "masked_macs": point.masked_macs,
        "macs": point.macs,
        "nonzero_macs": point.nonzero_macs,
        "bytes": point.artifact_bytes,
        "latency": [[one.engine, one.batch, one.median, one.q1, one.q3] for one in point.latency],
        "epochs": list(point.epochs.parts),
        "training_seconds": point.training_seconds,
        "seconds": point.seconds,
        "collapsed": point.collapsed,
        "floored": len(point.floored),
    }


def _counts(score: Score) -> list[int] | float:
    return _pair(score.share) if score.share else score.value


def _pair(share: Share) -> list[int]:
    return [share.part, share.total]


def found_in(folder: Path) -> dict[str, Any]:
    """All that a run folder holds, finished or not."""
    done = RunFolder(folder)
    points = sorted(done.points, key=lambda point: (point.method, point.step, point.seed))
    return {
        "environment": points[-1].environment if points else {},
        "failures": [list(one) for one in done.failures],
        "hypervolumes": {axis: hypervolumes(points, axis) for axis in AXES},
        "points": [facts_of(point) for point in points],
    }


def hypervolumes(points: Sequence[Point], axis: str) -> dict[str, dict[str, float]]:
    """Validation accuracy, from zero, against an axis: of each method that of each seed."""
    return {
        method: {
            str(seed): hypervolume(
                [p for p in points if (p.method, p.seed) == (method, seed) and not p.collapsed],
                (axis, "val_accuracy"),
                (0.0, 0.0),
            )
            for seed in sorted({point.seed for point in points if point.method == method})
        }
        for method in dict.fromkeys(point.method for point in points)
    }


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write results, a point a line, so that a difference of two of them can be read."""
    rest = {name: value for name, value in found.items() if name != "points"}
    lines = json.dumps(rest, indent=1).removesuffix("\n}")
    points = ",\n".join("  " + json.dumps(point) for point in found.get("points", ()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{lines},\n "points": [\n{points}\n ]\n}}\n', encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Results as they were written."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
