from pathlib import Path

import pytest

from secateur.errors import StoreError
from secateur.report.file import write_whole


def test_folders_are_made_and_no_draft_is_left(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "a" / "b.txt", b"whole", "writing a table")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(StoreError, match="writing a table"):
        write_whole(tmp_path / "taken" / "a.csv", b"", "writing a table")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "a.png"
    old.write_bytes(b"old")

    def full(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_whole(old, b"new", "writing a figure")
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]
