"""One row for everything that is measured: adding one is enough for it to be seen everywhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from secateur.errors import UnknownNameError, UsageError
from secateur.point import Measured, Point
from secateur.report.export_table import to_csv
from secateur.report.figure import Picture
from secateur.report.page import values
from secateur.report.plot import plot
from secateur.report.records import metrics as numbers
from secateur.report.records import records
from secateur.report.table import show, to_json
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier
from secateur.study.metrics import AXES, TABLE, axes_of, axis, metrics_of, own_metric, own_metrics
from secateur.study.plan import Run
from secateur.study.store import Store


def with_energy(point: Point, value: float) -> Point:
    return replace(point, metrics=(Measured("energy", "energy of a pass", "mJ", False, value),))


@pytest.fixture
def measured(make_point: Callable[..., tuple[Run, Point]]) -> list[tuple[Run, Point]]:
    made = [make_point("magnitude", (level,), 80, step) for step, level in enumerate((0.5, 0.9))]
    return [
        (run, with_energy(point, value))
        for (run, point), value in zip(made, (3.5, 1.25), strict=True)
    ]


@pytest.fixture
def points(measured: list[tuple[Run, Point]]) -> list[Point]:
    return [point for _, point in measured]


def test_names_are_distinct_and_said_in_words() -> None:
    assert len({one.name for one in TABLE}) == len(TABLE)
    assert len({one.column or one.name for one in TABLE}) == len(TABLE)
    assert all(one.label for one in TABLE)


def test_only_the_test_split_may_not_choose(points: list[Point]) -> None:
    assert [one.name for one in metrics_of(points) if not one.chooses] == ["test_accuracy"]


def test_every_row_is_read_from_a_point(points: list[Point]) -> None:
    for metric in TABLE:
        found = metric.read(points[0])
        assert found is None or float(found) >= 0


def test_a_row_is_an_axis_everywhere(points: list[Point], tmp_path: Path) -> None:
    assert "energy" in axes_of(points)
    assert "energy" not in AXES
    assert [record["energy"] for record in records(points)] == [3.5, 1.25]
    assert numbers(records(points)[0])["energy"] == 3.5
    rows = list(csv.DictReader(io.StringIO(to_csv(points).decode())))
    assert [row["energy"] for row in rows] == ["3.5", "1.25"]
    assert [one["metrics"] for one in to_json(points, ())] == [{"energy": 3.5}, {"energy": 1.25}]
    drawn = Picture(plot(points, x="energy", y="val_accuracy"))
    drawn.save(tmp_path / "energy.svg")
    assert "energy of a pass" in (tmp_path / "energy.svg").read_text()
    out = io.StringIO()
    show(Console(file=out, width=500), replicates(points), ())
    assert "1.250" in out.getvalue()


def test_the_page_has_it(
    measured: list[tuple[Run, Point]], put: Callable[..., None], tmp_path: Path
) -> None:
    with Store.writing(tmp_path) as store:
        store.begin({"name": "tiny"}, [run for run, _ in measured])
        for run, point in measured:
            put(store, run, point)
    shown = values(Store(tmp_path))
    (energy,) = [one for one in shown["axes"] if one["name"] == "energy"]
    assert (energy["label"], energy["unit"], energy["higher"]) == ("energy of a pass", "mJ", False)
    assert [level["mean"]["energy"] for level in shown["levels"]] == [3.5, 1.25]
    assert "energy" in shown["csv"].splitlines()[0]


def test_less_is_better_where_the_row_says_so(points: list[Point]) -> None:
    best = frontier(replicates(points), ("energy",))
    assert [one.level_name for one in best] == ["0.9"]


def test_a_point_without_it_says_so(points: list[Point]) -> None:
    metric = axis("energy", points)
    with pytest.raises(UsageError, match=r"energy of a pass of magnitude is not measured"):
        metric.value(replace(points[0], metrics=()))


def test_an_unknown_axis_suggests_the_nearest(points: list[Point]) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'energy'"):
        axis("enrgy", points)


def test_a_point_comes_back_from_json(points: list[Point]) -> None:
    again = Point.from_dict(json.loads(json.dumps(points[0].to_dict())))
    assert again.metrics == points[0].metrics


def test_a_name_of_every_study_is_not_taken_over(points: list[Point]) -> None:
    taken = replace(points[0], metrics=(Measured("macs", "mine", "", True, 1.0),))
    assert own_metrics([taken]) == ()
    assert axis("macs", [taken]).value(taken) == taken.macs


def test_a_metric_of_ones_own_is_read_back() -> None:
    metric = own_metric("depth", lambda *_: 4.0, unit="layers", higher=True)
    assert metric.measure is not None
    assert metric.measure(None, None, None) == 4.0
    assert (metric.label, metric.higher) == ("depth", True)
