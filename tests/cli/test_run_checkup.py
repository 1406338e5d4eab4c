"""`secateur doctor RUN`: what is damaged is named, and what can be saved is saved."""

import contextlib
import json
import os
import sqlite3
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secateur import cli
from secateur.study.checkpoint_sum import sum_of
from secateur.study.store import Store

Said = tuple[int, str, str]
LEVELS = (0.5, 0.6, 0.7, 0.8)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """The command in this process: exit code, output, errors."""

    def told(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["secateur", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return told


def weights(number: int) -> bytes:
    """A safetensors file of one number."""
    header = {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + struct.pack("<f", number)


@pytest.fixture
def folder(tmp_path: Path, make_point: Callable[..., Any]) -> Path:
    made = [make_point("dense", (), 90)]
    made += [make_point("magnitude", (level,), 80, step) for step, level in enumerate(LEVELS)]
    with Store.writing(tmp_path / "run") as store:
        store.begin({"name": "x"}, [run for run, _ in made])
        for number, (run, point) in enumerate(made):
            store.checkpoint(run.digest).write_bytes(weights(number))
            result = {"point": point.to_dict(), "sha256": sum_of(weights(number))}
            store.record_end(store.record_start(run), run, "done", "", result)
    return tmp_path / "run"


def place(folder: Path, number: int = 1) -> Path:
    return folder / Store(folder).points()[number].checkpoint


def change(folder: Path, query: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(folder / "study.sqlite")) as db, db:
        db.execute(query, values)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_sound_folder_is_said_to_be_and_is_left_as_it_is(
    run: Callable[..., Said], folder: Path
) -> None:
    before = content(folder)
    code, out, _ = run("doctor", folder)
    assert (code, out.splitlines()[-1]) == (0, "Sound.")
    found = json.loads(run("doctor", folder, "--json")[1])
    assert found["sound"] is True
    assert set(found["checkpoints"].values()) == {"sound"}
    assert len(found["checkpoints"]) == 5
    assert content(folder) == before


@pytest.mark.parametrize("state", ["damaged", "missing"])
def test_a_checkpoint_that_is_not_as_it_was_is_named_and_is_for_the_sweep(
    run: Callable[..., Said], folder: Path, state: str
) -> None:
    if state == "missing":
        place(folder).unlink()
    else:
        place(folder).write_bytes(weights(7))
    for options in ([], ["--repair"]):
        code, out, _ = run("doctor", folder, *options)
        assert code == 1
        assert "magnitude 0.5 seed 0" in out
        assert "Give the command of the sweep again" in out
    found = json.loads(run("doctor", folder, "--json")[1])
    assert found["checkpoints"]["magnitude 0.5 seed 0"] == state


def test_a_row_that_is_no_json_is_told_with_what_can_be_saved_and_how(
    run: Callable[..., Said], folder: Path
) -> None:
    points = Store(folder).points()
    change(folder, "UPDATE runs SET result = '{' WHERE digest = ?", points[2].digest)
    damaged = (folder / "study.sqlite").read_bytes()
    code, out, err = run("frontier", folder)
    assert (code, out) == (2, "")
    assert "4 points can be saved; lost: magnitude 0.6 seed 0" in err
    assert f"`secateur doctor {folder} --repair`" in err
    assert run("doctor", folder)[0] == 1
    assert (folder / "study.sqlite").read_bytes() == damaged
    code, out, _ = run("doctor", folder, "--repair")
    assert code == 0
    assert "the damaged store is kept as study.sqlite.damaged-1" in out
    assert (folder / "study.sqlite.damaged-1").read_bytes() == damaged
    assert Store(folder).points() == (*points[:2], *points[3:])
    assert Store(folder).missing() == 1  # for the next sweep
    assert run("frontier", folder)[0] == 0


def test_a_bit_of_a_row_that_is_another_number_is_seen(
    run: Callable[..., Said], folder: Path
) -> None:
    change(folder, "UPDATE runs SET result = replace(result, '110', '112') WHERE kind = 'base'")
    assert "a row that is not as it was written" in run("frontier", folder)[2]
    assert run("doctor", folder)[0] == 1


def test_a_damaged_page_costs_no_other_rows(run: Callable[..., Said], folder: Path) -> None:
    whole, points = (folder / "study.sqlite").read_bytes(), Store(folder).points()
    least = len(points)
    for start in range(0, len(whole), 4096):
        (folder / "study.sqlite").write_bytes(whole[:start] + bytes(4096) + whole[start + 4096 :])
        code, _, err = run("frontier", folder)
        assert code in (0, 2)
        assert not code or "doctor" in err, err
        assert run("doctor", folder)[0] in (0, 1)
        assert run("doctor", folder, "--repair")[0] == 0
        left = Store(folder).finished()
        assert left <= {point.digest for point in points}
        least = min(least, len(left))
    assert least >= 2


@pytest.mark.parametrize("where", ["half", "last page"])
def test_a_store_that_was_cut_off_gives_what_it_still_has(
    run: Callable[..., Said], folder: Path, where: str
) -> None:
    whole = (folder / "study.sqlite").read_bytes()
    left = len(whole) // 2 if where == "half" else len(whole) - 4096
    (folder / "study.sqlite").write_bytes(whole[:left])
    code, _, err = run("frontier", folder)
    assert code == 2
    assert "doctor" in err
    assert run("doctor", folder, "--repair")[0] == 0
    assert run("frontier", folder)[0] in (0, 1, 2)


def test_a_journal_that_is_none_is_passed_by(run: Callable[..., Said], folder: Path) -> None:
    (folder / "study.sqlite-journal").write_bytes(b"none" * 300)
    (folder / "points" / "a.partial").mkdir()
    assert run("frontier", folder)[0] == 0
    assert run("doctor", folder)[0] == 0
    with Store.writing(folder) as store:
        assert len(store.finished()) == 5


def test_what_is_no_database_at_all_is_said(run: Callable[..., Said], folder: Path) -> None:
    (folder / "study.sqlite").write_bytes(b"no database" * 999)
    code, _, err = run("frontier", folder)
    assert (code, "0 points can be saved" in err) == (2, True)
    assert run("doctor", folder)[0] == 1


def test_what_killed_writers_left_is_cleared_away_on_request(
    run: Callable[..., Said], folder: Path
) -> None:
    left = [folder / "points" / "a.123.partial", folder / ".study.sqlite.new"]
    for path in left:
        path.write_bytes(b"half")
    code, out, _ = run("doctor", folder)
    assert code == 0
    assert "a.123.partial" in out
    assert run("doctor", folder, "--repair")[0] == 0
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_no_file_is_moved_out_of_a_checkpoints_place(
    run: Callable[..., Said], folder: Path, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "victim").write_text("mine")
    there = place(folder)
    there.unlink()
    if kind == "folder":
        there.mkdir()
    elif kind == "pipe":
        os.mkfifo(there)
    else:
        there.symlink_to(tmp_path / "victim")
    code, out, _ = run("doctor", folder)
    assert code == 1
    assert there.name in out
    run("doctor", folder, "--repair")
    assert not os.path.lexists(there)
    assert os.path.lexists(there.with_name(f"{there.name}.aside-1"))
    assert (tmp_path / "victim").read_text() == "mine"
    states = json.loads(run("doctor", folder, "--json")[1])["checkpoints"]
    assert sorted(states.values()) == ["missing", *["sound"] * 4]


def test_sums_of_an_older_store_are_noted_where_the_file_can_be_the_points(
    run: Callable[..., Said], folder: Path, make_point: Callable[..., Any]
) -> None:
    layer = {"name": "w", "kind": "Linear", "shape": [1], "zeros": 0, "channels": 1, "kept": 1}
    for point in Store(folder).points():
        values = {**point.to_dict(), "layers": [layer]}
        text = json.dumps({"point": values})
        change(folder, "UPDATE runs SET result = ? WHERE digest = ?", text, point.digest)
    place(folder, 0).write_bytes(weights(5))
    other = place(folder, 2)
    other.write_bytes(weights(0))  # has one zero more than its point
    code, out, _ = run("doctor", folder)
    assert code == 0
    assert "not verified  5" in out
    code, out, _ = run("doctor", folder, "--repair")
    assert "noted the sums of 4 checkpoints" in out
    assert f"moved {other.name}" in out
    assert "with 1 zeros in 'w', not 0" in out
    states = json.loads(run("doctor", folder, "--json")[1])["checkpoints"]
    assert sorted(states.values()) == ["missing", *["sound"] * 4]


def test_a_store_of_a_later_version_is_left_alone(run: Callable[..., Said], folder: Path) -> None:
    change(folder, "UPDATE facts SET value = '2' WHERE name = 'format'")
    change(folder, "CREATE TABLE more (x)")
    before = content(folder)
    for command in (("frontier", folder), ("doctor", folder), ("doctor", folder, "--repair")):
        code, _, err = run(*command)
        assert code == 2
        assert "format 2, expected format 1. Use the version of secateur that wrote it" in err
    assert content(folder) == before


def test_a_folder_that_a_sweep_writes_is_not_mended(run: Callable[..., Said], folder: Path) -> None:
    (folder / "points" / "a.1.partial").write_bytes(b"")
    with Store.writing(folder):
        (folder / "points" / "a.1.partial").write_bytes(b"being written")
        code, out, err = run("doctor", folder, "--repair")
        assert (code, "in use by another sweep" in err) == (2, True)
        assert "under way" in out
        assert (folder / "points" / "a.1.partial").exists()


def test_where_there_is_no_run_there_is_nothing_to_look_through(
    run: Callable[..., Said], tmp_path: Path
) -> None:
    code, _, err = run("doctor", tmp_path)
    assert (code, "a folder without study.sqlite" in err) == (2, True)
    assert run("doctor", tmp_path / "none")[0] == 2
    assert list(tmp_path.iterdir()) == []
