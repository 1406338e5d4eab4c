import os
from pathlib import Path

import pytest

from secateur.study.checkpoint_sum import judge, sum_of

EMPTY = (2).to_bytes(8, "little") + b"{}"


def held(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_goes_by_its_sum(tmp_path: Path) -> None:
    path = held(tmp_path / "a", b"anything" * 300_000)
    assert judge(path, sum_of(path.read_bytes())).state == "sound"
    found = judge(path, sum_of(b"something else"))
    assert (found.state, found.usable) == ("damaged", False)
    assert judge(tmp_path / "none", sum_of(b"")).state == "missing"


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (EMPTY, "unverified"),
        (EMPTY + b"more", "damaged"),
        (EMPTY[:-1], "damaged"),
        (b"", "damaged"),
        (b"\xff" * 99, "damaged"),
        ((2).to_bytes(8, "little") + b"[]", "damaged"),
        ((8).to_bytes(8, "little") + b'{"a": 1}', "damaged"),
        ((4).to_bytes(8, "little") + b"[[[[", "damaged"),
    ],
)
def test_without_a_sum_it_goes_by_its_form(tmp_path: Path, content: bytes, state: str) -> None:
    assert judge(held(tmp_path / "a", content)).state == state


def test_what_is_no_file_is_neither_followed_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(held(tmp_path / "victim", EMPTY))
    for name in ("folder", "pipe", "link"):
        assert judge(tmp_path / name, sum_of(EMPTY)).state == "damaged"
        assert judge(tmp_path / name).state == "damaged"
