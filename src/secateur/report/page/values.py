"""What the page shows, as plain JSON values made from the store alone.

Everything that decides anything is exact: frontiers and picks are made here, and a floor is
compared with the integers of the mean of the score that chooses. The floats are for reading.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from secateur.point import Layer, Point
from secateur.registry import METHODS
from secateur.report.budget import budget_words, tuned_words
from secateur.report.export_table import to_csv
from secateur.report.page.command import builder_note, builder_option
from secateur.report.page.levels import choice_of, digits, levels_of, opening_axis, usual_floor
from secateur.report.rank_table import caption_of
from secateur.report.style import styles
from secateur.report.tuning import audit_words, notes, setting_text
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import DENSE
from secateur.study.int8_points import int8_points, shown_points
from secateur.study.metrics import Metric, axes_of, own_metrics, quality_of, score_metrics
from secateur.study.point_names import names_of
from secateur.study.ranking import Ranking, rankings
from secateur.study.store import Store
from secateur.study.study import CONTROLS
from secateur.tuning.record import read_tuning

if TYPE_CHECKING:
    from secateur.study.store import Training
    from secateur.study.study import RunFolder

FORMAT = 1
_DASHES = {"-": None, "--": "6 4", ":": "1.5 4", "-.": "8 4 1.5 4"}
"""The dashes of the figures, as SVG writes them."""
_SHARES = ("sparsity", "conv_sparsity", "model_sparsity")
_COUNTS = (
    "parameters", "nonzero", "compact_parameters", "masked_macs", "nonzero_macs", "macs",
    "artifact_bytes",
)  # fmt: skip
_ID = 12  # Letters of a digest: enough to name a run of one study, and `--point` takes them.


def values(source: Store | RunFolder) -> dict[str, Any]:
    """Everything that the page shows of a study, finished or not.

    Args:
        source: The store of a run folder, or the study.

    Returns:
        JSON values only. `study` (name, folder, settings, counts of runs), `axes`, `methods` (how
        each is drawn), `levels` (means and bands on each axis), `rankings` (of methods),
        `points`, `nets` (layers that points share), `trainings` (curves, by run),
        `environments`, `failures`, `tuning` (a search, None of a sweep).

    Raises:
        UsageError: The points are not of one study.
    """
    store = source if isinstance(source, Store) else Store(source.folder)
    swept = store.points()
    points = shown_points(store)
    levels = replicates(points)
    trainings = store.trainings()
    nets = _Table(_net(point.layers) for point in points)
    machines = _Table(point.environment for point in points)
    places = {point.digest: place for place, point in enumerate(points)}
    axes = axes_of(points)
    builder = builder_option(store.settings)
    scores = [metric.name for metric in score_metrics(points)]
    own = [metric.name for metric in own_metrics(points)]
    return {
        "format": FORMAT,
        "study": _study(store, points),
        "axes": [_axis(metric, scores, own) for metric in axes.values()],
        "quality": {"val": quality_of(points), "test": quality_of(points, "test")},
        "csv": to_csv(points, CONTROLS).decode(),
        "methods": _methods(levels),
        "levels": levels_of(levels, places, axes, scores),
        "choices": {metric.name: choice_of(levels, metric) for metric in axes.values()},
        "floor": usual_floor(levels),
        "opening": opening_axis(levels, axes),
        "rankings": [_ranking(one) for one in rankings(swept, CONTROLS)],
        "points": [
            {
                **_point(point),
                "name": name,
                "export": f"secateur export {shlex.quote(str(store.folder))} "
                f"--point {shlex.quote(name)}{builder}",
                "net": nets.place(_net(point.layers)),
                "zeros": [layer.zeros for layer in point.layers],
                "kept": [layer.kept for layer in point.layers],
                "environment": machines.place(point.environment),
            }
            for point, name in zip(points, names_of(points), strict=True)
        ],
        "nets": nets.rows,
        "environments": machines.rows,
        "trainings": _by_point({each.digest[:_ID]: _training(each) for each in trainings}, store),
        "failures": [{"title": title, "reason": why} for title, why in store.failures()],
        "tuning": _tuning(store),
    }


def _tuning(store: Store) -> dict[str, Any] | None:
    """The search of a run folder, with its settings and its audit in words; None without one."""
    record = read_tuning(store)
    if record is None:
        return None
    found = record.to_dict()
    for shown, trial in zip(found["trials"], record.trials, strict=True):
        shown["said"] = {name: setting_text(one) for name, one in trial.settings.items()}
        shown["notes"] = list(notes(trial))
    return {**found, "words": audit_words(record)}


def _by_point(trainings: dict[str, Any], store: Store) -> dict[str, Any]:
    """The trainings by run; a point that was quantised has that of the point it was made of."""
    quantised = {
        one.point.digest[:_ID]: trainings[one.source.digest[:_ID]] for one in int8_points(store)
    }
    return {**trainings, **quantised}


def _ranking(ranking: Ranking) -> dict[str, Any]:
    return {**ranking.to_dict(), "caption": caption_of(ranking)}


def _study(store: Store, points: Sequence[Point]) -> dict[str, Any]:
    settings = store.settings
    missing = store.missing()
    return {
        "name": str(settings.get("name", store.folder.name)),
        "model": _named(settings.get("model")),
        "data": _data(store, settings),
        "folder": str(store.folder),
        "quoted": shlex.quote(str(store.folder)),
        "builder": builder_option(settings),
        "builder_note": builder_note(settings),
        "settings": {**settings, "methods": _options(settings.get("methods", {}))},
        "seeds": sorted({point.seed for point in points}),
        "budget": " ".join(filter(None, (budget_words(points), tuned_words(settings)))),
        "missing": missing,
        "finished": missing == 0,
    }


def _options(methods: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options of each method that mean something to it: stores up to 0.1 hold everybody's."""
    return {
        name: {
            key: value
            for key, value in options.items()
            if name not in METHODS or key in METHODS[name].options.model_fields
        }
        for name, options in methods.items()
    }


def _data(store: Store, settings: Mapping[str, Any]) -> str:
    """The name of the data, and their version where that is what names their contents."""
    name = _named(settings.get("data"))
    facts = store.value("data")
    version = facts.get("version") if isinstance(facts, Mapping) else None
    return f"{name}, version {version}" if name and version and isinstance(version, str) else name


def _named(setting: Any) -> str:
    return str(setting.get("name", "")) if isinstance(setting, Mapping) else ""


def _axis(metric: Metric, scores: Collection[str], own: Collection[str]) -> dict[str, Any]:
    return {
        "name": metric.name,
        "label": metric.label,
        "higher": metric.higher,
        "unit": metric.unit,
        "score": metric.name in scores,
        "own": metric.name in own,
        "zeros": metric.counts_zeros,
        "chooses": metric.chooses,
    }


def _methods(levels: Sequence[Replicate]) -> list[dict[str, Any]]:
    """The methods as the figures draw them: the same colours, markers and dashes."""
    names = sorted({level.method for level in levels} - {DENSE})
    found = [
        {
            "name": name,
            "control": name in CONTROLS,
            "colour": style.colour,
            "marker": style.marker,
            "dash": _DASHES[style.dash],
        }
        for name, style in styles(names, CONTROLS).items()
    ]
    if any(level.method == DENSE for level in levels):
        # Its colour is the page's own ink, dark on light and light on dark.
        ink: dict[str, Any] = {"control": False, "colour": "", "marker": "o", "dash": None}
        found.insert(0, {"name": DENSE, **ink})
    return found


def _point(point: Point) -> dict[str, Any]:
    held = {name: getattr(point, name) for name in _SHARES}
    return {
        "id": point.digest[:_ID],
        "digest": point.digest,
        "method": point.method,
        "level": point.level_name,
        "step": point.step,
        "seed": point.seed,
        **{name: [share.part, share.total] for name, share in held.items()},
        "scores": {one.name: [digits(one.value), one.part, one.total] for one in point.every_score},
        "metrics": {one.name: digits(one.value) for one in point.metrics},
        **{name: getattr(point, name) for name in _COUNTS},
        "collapsed": point.collapsed,
        "majority": point.majority,
        "baseline": point.baseline,
        "reached": None if point.reached is None else asdict(point.reached),
        "epochs": list(point.epochs.parts),
        "given": point.epochs.given,
        "latency": [
            [one.batch, one.n, one.median, one.q1, one.q3, one.engine, one.threads]
            for one in point.latency
        ],
        "seconds": point.seconds,
        "training_seconds": point.training_seconds,
        "floored": list(point.floored),
        "checkpoint": point.checkpoint,
    }


def _net(layers: Iterable[Layer]) -> list[dict[str, Any]]:
    """What the nets of many points have in common."""
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "shape": list(layer.shape),
            "channels": layer.channels,
        }
        for layer in layers
    ]


def _training(training: Training) -> dict[str, Any]:
    parents = training.parents
    previous = parents.get("previous") or parents.get("base")
    return {
        "title": training.title,
        "kind": training.kind,
        "before": [name[:_ID] for name in (previous, parents.get("slim")) if name],
        "loss": [_finite(entry.get("loss")) for entry in training.curve],
        "val": [_finite(_score_of(entry)) for entry in training.curve],
    }


def _score_of(entry: Mapping[str, float]) -> float | None:
    """The score of an epoch, if its loop has measured one."""
    return next((value for name, value in entry.items() if name.startswith("val_")), None)


def _finite(value: float | None) -> float | None:
    """Four digits, as much as a curve shows; JSON has no word for what is not finite."""
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None


class _Table:
    """Values that many points share, each once."""

    def __init__(self, entries: Iterable[Any]) -> None:
        self._places: dict[str, int] = {}
        self.rows: list[Any] = []
        for entry in entries:
            if repr(entry) not in self._places:
                self._places[repr(entry)] = len(self.rows)
                self.rows.append(entry)

    def place(self, entry: Any) -> int:
        return self._places[repr(entry)]
