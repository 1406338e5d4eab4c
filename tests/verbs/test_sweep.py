import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import secateur
from secateur.data.shapes import shapes
from secateur.errors import UnknownNameError, UsageError
from secateur.pruning.masks import Masks
from secateur.pruning.method import Method, Part
from secateur.registry import CRITERIA, METHODS
from secateur.report.records import records
from secateur.study.study import CONTROLS
from secateur.verbs.sweep import Study, sweep


@pytest.fixture(scope="module")
def study(undisturbed: Any) -> Study:
    return Study(undisturbed.folder / "run")


def test_it_is_the_public_one(study: Study) -> None:
    assert secateur.Study is Study
    assert secateur.sweep is sweep


def test_its_table_is_the_records(study: Study) -> None:
    assert study.table() == records(study.points, CONTROLS)
    assert len(study.table()) == len(study.points)


def test_its_figure_is_the_commands(study: Study, undisturbed: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    picture = study.figure(x="macs", y="val_accuracy", title="Mine", width=5, path=path)
    told = undisturbed.run(
        *("figure", "run", "--x", "macs", "--y", "val_accuracy", "--title", "Mine"),
        *("--width", "5", "--out", str(tmp_path / "b.svg")),
    )
    assert told.returncode == 0, told.stderr
    assert path.read_bytes() == picture.bytes("svg") == (tmp_path / "b.svg").read_bytes()


def test_a_notebook_shows_the_table_and_the_figure(study: Study) -> None:
    shown = study._repr_html_()
    assert shown.count("<tr") == 1 + len({(p.method, p.step) for p in study.points})
    assert "<svg" in shown
    assert "points" in shown


def test_a_notebook_shows_a_pick_and_its_level(study: Study) -> None:
    pick = study.pick(min_accuracy=0.0)
    shown = pick._repr_html_()
    assert str(pick).partition(" ")[0] in shown
    assert f"{pick.replicate.points[0].macs:,}" in shown
    assert pick.replicate._repr_html_() in shown


def test_a_notebook_shows_masks_by_layer() -> None:
    masks = Masks({"<i>": torch.tensor([[True, False], [True, True]]), "b": torch.ones(3) > 0})
    shown = masks._repr_html_()
    assert "&lt;i&gt;" in shown
    assert "2x2" in shown
    assert shown.count("<tr") == 1 + 2 + 1
    assert ">6<" in shown  # kept in all
    assert ">7<" in shown


def test_an_unknown_tracker_ends_it_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="tensorboard"):
        sweep("lenet-5", "fashion-mini", out=tmp_path / "run", track="tensorbord")
    assert not (tmp_path / "run").exists()


def test_a_study_without_a_point_is_words(undisturbed: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.folder / "run", folder)
    import sqlite3

    with sqlite3.connect(folder / "study.sqlite") as db:
        db.execute("DELETE FROM runs")
    db.close()
    shown = Study(folder)._repr_html_()
    assert "0 points" in shown
    assert "<table" not in shown


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"methods": [3]}, "methods is a int"),
        ({"ray": 3}, "ray is a int"),
        ({"ray": "nowhere", "methods": ["magnitude"]}, "no address"),
        ({"ray": "auto", "cpus_per_run": 1.5}, "cpus-per-run"),
        ({"ray": "auto", "gpus_per_run": "1"}, "gpus_per_run is a str"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_trained(
    argument: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=words):
        sweep("lenet-300-100", out=tmp_path / "run", **argument)
    assert not list(tmp_path.glob("run/points/*"))


def test_what_was_added_here_reaches_the_workers(tmp_path: Path) -> None:
    def last_first(parameter: str, rows: torch.Tensor, statistics: object) -> torch.Tensor:
        return torch.arange(rows.shape[0], 0, -1).double()

    CRITERIA.add("last-first", last_first)
    part = Part("last-first", "weight", "all", "layer")
    METHODS.add("mine", Method("mine", "The last weights.", "made for a test", (part,)))
    found = sweep(
        "lenet-300-100",
        shapes(train=32, val=16, test=16, size=8),
        methods=["mine"],
        levels=[0.5],
        out=tmp_path / "run",
        workers=1,
        base_epochs=1,
        retrain_epochs=1,
    )
    (point,) = [point for point in found.points if point.method == "mine"]
    assert 2 * point.sparsity.part == point.sparsity.total
