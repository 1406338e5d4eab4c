"""Atomic files: the old one or the new one, whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from secateur.errors import ArtifactError
from secateur.foundation.atomic_write import replaced_by, replacing


def test_the_file_is_there_only_after_the_block(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as partial:  # noqa: PT012
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_missing_folder_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="No such file"), replacing(tmp_path / "b/c") as partial:
        partial.write_text("x")


def test_the_umask_holds(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as partial:
        partial.write_text("x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_writer.py")
    killed = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "net.safetensors")],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert killed.returncode == 0, killed.stderr
    kills = [line.split() for line in killed.stdout.splitlines()]
    # Every file holds one value in all its elements: it is whole.
    assert {len(values) for _, _, *values in kills} == {1}
    # What the writer has told of is there, or something newer.
    assert all(int(value) >= int(least) for _, least, value in kills)
    assert sum(kind == "random" for kind, *_ in kills) == 10
    # Killed line by line, there is the old file up to some line, and from there on the new one.
    by_line = [int(value) for kind, _, value in kills if kind == "line"]
    assert by_line == sorted(by_line)
    assert set(by_line) == {0, 1}
    assert len(by_line) > 30
    assert ["whole", "1", "1"] in kills


def test_what_is_not_synced_is_replaced_whole_all_the_same(tmp_path):
    path, partial = tmp_path / "a.txt", tmp_path / ".partial"
    path.write_text("old")

    with replaced_by(partial, path, synced=False):
        partial.write_text("new")
        assert path.read_text() == "old"

    assert [each.read_text() for each in tmp_path.iterdir()] == ["new"]


def test_an_error_of_the_system_is_passed_on_and_leaves_the_old_file(tmp_path):
    path, partial = tmp_path / "a.txt", tmp_path / ".partial"
    path.write_text("old")

    def write():
        with replaced_by(partial, path):
            partial.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()

    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link to a device"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a device":
        path.symlink_to(os.devnull)
    else:
        path = Path(os.devnull)
    before = path.lstat().st_mode
    with (
        pytest.raises(ArtifactError, match=r"a folder|a pipe or a device"),
        replacing(path) as partial,
    ):
        partial.write_text("x")
    assert path.lstat().st_mode == before


@pytest.mark.parametrize("there", [True, False])
def test_of_a_link_the_link_is_replaced_and_not_what_it_points_to(
    tmp_path: Path, there: bool
) -> None:
    if there:
        (tmp_path / "other").write_text("other")
    (tmp_path / "a").symlink_to("other")
    with replacing(tmp_path / "a") as partial:
        partial.write_text("new")
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "other").exists() is there
    assert not there or (tmp_path / "other").read_text() == "other"
