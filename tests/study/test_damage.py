"""Checkpoints that are not as they were written: each is made again alone, and is the same."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from secateur.errors import StoreError
from secateur.study.checkpoint_sum import Verdict
from secateur.study.damage import DamageWarning
from secateur.study.folder import checkpoint_name
from secateur.study.plan import Run
from secateur.study.store import Store

from .inline import DAMAGES, Notes, cut_off, files, flip, points, sweep

BASE = "dense base seed 0"
FIRST = "magnitude 0.3 seed 0"


def place(folder: Path, number: int) -> Path:
    return folder / points(folder)[number].checkpoint


def test_what_is_whole_is_not_done_again(run_folder: Path) -> None:
    notes = sweep(run_folder)
    assert notes.ends == []
    assert len(notes.finished) == 5
    assert {verdict.state for verdict in Store(run_folder).verdicts().values()} == {"sound"}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(("number", "title"), [(0, BASE), (1, FIRST)])
def test_a_lost_file_is_made_again_alone_and_is_the_same(
    run_folder: Path, damage: Callable[[Path], None], number: int, title: str
) -> None:
    measured, before = points(run_folder), files(run_folder)
    damage(place(run_folder, number))
    # What was made from it is judged by its own sum, and stays.
    with pytest.warns(DamageWarning, match=f"1 finished run is lost.*{title}"):
        assert sweep(run_folder).ends == [(title, "")]
    assert files(run_folder) == before
    assert points(run_folder) == measured
    assert sweep(run_folder).ends == []


def test_two_files_that_were_exchanged_are_both_made_again(run_folder: Path) -> None:
    measured, before = points(run_folder), files(run_folder)
    one, two = place(run_folder, 0), place(run_folder, 1)
    one.rename(run_folder / "aside")
    two.rename(one)
    (run_folder / "aside").rename(two)
    with pytest.warns(DamageWarning, match="2 finished runs"):
        assert sweep(run_folder).titles == [BASE, FIRST]
    assert files(run_folder) == before
    assert points(run_folder) == measured


@pytest.mark.usefixtures("_inline")
def test_a_base_that_is_damaged_while_its_children_wait_is_made_again_at_once(
    tmp_path: Path, swept: Path
) -> None:
    class Damaging(Notes):
        def ended(self, run: Run, reason: str) -> None:
            super().ended(run, reason)
            if len(self.ends) == 1:
                flip(tmp_path / "run" / checkpoint_name(run.digest))

    with pytest.warns(DamageWarning, match=BASE):
        notes = sweep(tmp_path / "run", Damaging())
    assert notes.titles[:2] == [BASE, BASE]
    assert len(notes.ends) == 6
    assert points(tmp_path / "run") == points(swept)
    assert files(tmp_path / "run") == files(swept)


def test_a_parent_whose_bytes_are_others_fails_what_starts_from_it(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it was damaged between the sweep's look and the worker's.
    monkeypatch.setattr(Store, "_judge", lambda *_: Verdict("sound"))
    flip(place(run_folder, 0))
    notes = sweep(run_folder, levels=[0.9])
    assert "its bytes are not those that were written" in dict(notes.ends)["magnitude 0.9 seed 0"]
    assert "Run the sweep again" in dict(notes.ends)["magnitude 0.9 seed 0"]
    monkeypatch.undo()


def test_a_file_without_a_sum_goes_by_its_form(run_folder: Path) -> None:
    with closing(sqlite3.connect(run_folder / "study.sqlite")) as db, db:
        db.execute("UPDATE runs SET result = json_remove(result, '$.sha256')")
    verdicts = Store(run_folder).verdicts().values()
    assert {verdict.state for verdict in verdicts} == {"unverified"}
    assert sweep(run_folder).ends == []
    cut_off(place(run_folder, 1))
    with pytest.warns(DamageWarning, match=rf"{FIRST} \([0-9,]+ bytes long instead"):
        assert sweep(run_folder).titles == [FIRST]
    assert Store(run_folder).verdict(points(run_folder)[1].digest).state == "sound"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_lies_in_a_files_place_and_is_none_is_told_before_training(
    run_folder: Path, kind: str
) -> None:
    there = place(run_folder, 0)
    there.unlink()
    if kind == "folder":
        there.mkdir()
    elif kind == "pipe":
        os.mkfifo(there)
    else:
        there.symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match=f"{there.name} is unusable"):
        sweep(run_folder)
