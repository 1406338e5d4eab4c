import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from secateur.errors import StoreError
from secateur.remote.copy import copy_run
from secateur.remote.fetch import fetch_run
from secateur.remote.folder import RemoteFolder
from secateur.study.store import Store

from .run_source import Source


@pytest.fixture
def copied(source: Source, tmp_path: Path) -> str:
    for place in range(3):
        source.end(place)
    address = str(tmp_path / "there")
    copy_run(source.folder, RemoteFolder(address), whole=True)
    return address


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_fetch_that_was_cut_off_is_no_run_and_goes_on(
    copied: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back, got = tmp_path / "back", RemoteFolder.get
    left = [2]

    def get(self: RemoteFolder, name: str, file: object, size: int) -> str:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return got(self, name, file, size)

    monkeypatch.setattr(RemoteFolder, "get", get)
    with pytest.raises(KeyboardInterrupt):
        fetch_run(copied, back)
    assert not (back / "study.sqlite").exists()
    assert [path.name for path in back.rglob("*.partial")] == []
    left[0] = 99
    found = fetch_run(copied, back)
    assert (found.files, found.new) == (6, 4)
    assert Store(back).points() == Store(source.folder).points()
    assert (back / "points.csv").read_text().count("\n") == 4
    assert fetch_run(copied, back).new == 0


def test_a_damaged_file_is_a_named_error_and_does_not_arrive(copied: str, tmp_path: Path) -> None:
    place = next((Path(copied) / "points").iterdir())
    content = bytearray(place.read_bytes())
    content[5] ^= 1
    place.write_bytes(content)
    with pytest.raises(StoreError, match=rf"fetching a file: .*{place.name} is damaged"):
        fetch_run(copied, tmp_path / "back")
    assert not (tmp_path / "back" / "points" / place.name).exists()
    assert not (tmp_path / "back" / "study.sqlite").exists()


def test_an_address_without_a_copy_and_a_folder_with_another_run_are_refused(
    copied: str, source: Source, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=r"without a copy that is whole.*--copy-to"):
        fetch_run(str(tmp_path / "nowhere"), tmp_path / "back")
    assert not (tmp_path / "back").exists()
    source.end(0, b"made again")  # the folder has gone on since
    before = files(source.folder)
    with pytest.raises(StoreError, match="holds another run, or this one at another time"):
        fetch_run(copied, source.folder)
    assert files(source.folder) == before


def test_what_lies_in_the_way_is_refused_and_not_written_through(
    copied: str, tmp_path: Path
) -> None:
    back, victim = tmp_path / "back", tmp_path / "victim"
    victim.write_text("mine")
    (back / "points").mkdir(parents=True)
    name = next((Path(copied) / "points").iterdir()).name
    (back / "points" / name).symlink_to(victim)
    with pytest.raises(StoreError, match="a link to elsewhere"):
        fetch_run(copied, back)
    assert victim.read_text() == "mine"


def test_too_little_room_is_told_before_anything_is_fetched(
    copied: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 10))
    with pytest.raises(StoreError, match="on a disk with 10 bytes free"):
        fetch_run(copied, tmp_path / "back")
    assert list((tmp_path / "back" / "points").iterdir()) == []
