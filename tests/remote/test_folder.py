import os
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import StoreError, UsageError
from secateur.remote.folder import RemoteFolder, shown, why

CONTENT = b"weights" * 400_000
SUM = sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(CONTENT)
    return tmp_path / "file"


def test_a_file_goes_there_and_comes_back(address: str, file: Path) -> None:
    remote = RemoteFolder(address)
    assert remote.names() == []
    remote.check()
    assert remote.names() == []
    for _ in range(2):  # the second time in its own place
        remote.put("points/a.bin", file, SUM)
    remote.put_bytes("b", b"few")
    assert remote.names() == ["b", "points/a.bin"]
    back = BytesIO()
    assert remote.get("points/a.bin", back, len(CONTENT)) == SUM
    assert back.getvalue() == CONTENT
    assert (remote.read("b", 3), remote.read("none", 3)) == (b"few", None)
    with pytest.raises(StoreError, match="longer than 2 bytes"):
        remote.read("b", 2)
    short = BytesIO()
    assert remote.get("points/a.bin", short, 10) != SUM
    assert len(short.getvalue()) == 11
    remote.remove("b")
    remote.remove("none")
    assert remote.names() == ["points/a.bin"]
    with pytest.raises(StoreError, match=r"fetching a file: .*none is out of reach"):
        remote.get("none", BytesIO(), 1)


def test_what_came_there_as_something_else_takes_nobodys_place(address: str, file: Path) -> None:
    remote = RemoteFolder(address)
    remote.put_bytes("a", b"before")
    with pytest.raises(StoreError, match=r"copying a file: .*read back is not what was written"):
        remote.put("a", file, sha256(b"other").hexdigest())
    assert remote.read("a", 10) == b"before"
    assert remote.names() == ["a"]


def test_a_bucket_that_is_none_is_a_named_error_and_none_is_made(s3: str, file: Path) -> None:
    bucket = s3.split("/")[2]
    remote = RemoteFolder(s3.replace(bucket, f"{bucket}-misspelt"))
    for act in (remote.check, lambda: remote.put("a", file, SUM)):
        with pytest.raises(StoreError, match="is out of reach"):
            act()
    assert remote.names() == []
    assert not remote._files.exists(f"{bucket}-misspelt")


def test_a_file_system_that_takes_no_name_that_is_taken(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RemoteFolder(str(tmp_path / "there"))
    plain: Callable[..., Any] = remote._files.mv

    def mv(old: str, new: str) -> None:
        if os.path.exists(new):
            raise FileExistsError(new)
        plain(old, new)

    monkeypatch.setattr(remote._files, "mv", mv)
    for content in (b"before", b"after"):
        remote.put_bytes("a", content)
        assert remote.read("a", 10) == content


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "the address is empty"),
        ("nope://x", r"unusable \(ValueError: Protocol not known: nope\)"),
        ("zip://a::file:///b", "one within another"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RemoteFolder(address)


def test_a_driver_that_is_missing_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import fsspec.core

    def absent(address: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(UsageError, match=r"s3fs to access S3.*pip install 'secateur\[remote\]'"):
        RemoteFolder("s3://bucket/x")


def test_nothing_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t-value")
    assert shown("sftp://me:passw0rd@host/runs/?token=1") == "sftp://host/runs"
    told = why(OSError("GET https://u:p@host/x?X-Amz-Signature=abc with s3cr3t-value\nmore"))
    assert told == "OSError: GET https://host/x with ***"
    assert why(ValueError()) == "ValueError"
    with pytest.raises(UsageError, match="nope://host/x is") as caught:
        RemoteFolder("nope://me:passw0rd@host/x")
    assert "passw0rd" not in str(caught.value)
