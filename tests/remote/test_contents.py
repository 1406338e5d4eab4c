import json
from collections.abc import Callable
from typing import Any

import pytest

from secateur.errors import StoreError
from secateur.remote.contents import CONTENTS, Entry, read_contents, write_contents
from secateur.remote.folder import RemoteFolder

FILES = {
    "study.sqlite": Entry("study-0123.sqlite", "0" * 64, 7),
    "points/a.safetensors": Entry("points/a.safetensors", "f" * 64, 0),
}


@pytest.fixture
def remote(tmp_path: Any) -> RemoteFolder:
    return RemoteFolder(str(tmp_path / "there"))


def test_they_are_read_as_they_were_written(remote: RemoteFolder) -> None:
    assert read_contents(remote) == {}
    write_contents(remote, FILES)
    assert read_contents(remote) == FILES


def test_a_bit_that_flipped_and_a_cut_off_list_are_named_errors(remote: RemoteFolder) -> None:
    write_contents(remote, FILES)
    text = remote.read(CONTENTS, 9999) or b""
    for damaged in (text.replace(b'"size": 7', b'"size": 8'), text[:-9], b"\xff", b"[]", b""):
        remote.put_bytes(CONTENTS, damaged)
        with pytest.raises(StoreError, match=r"reading a copy: .*secateur-copy.json is unusable"):
            read_contents(remote)


def change(name: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    def change(files: dict[str, Any]) -> None:
        files[name] = {**files["study.sqlite"], **values}

    return change


@pytest.mark.parametrize(
    "plant",
    [
        *(change(name) for name in ("../x", "/etc/x", "points/../x.safetensors", "points/x", "",
                                    "points/a/b.safetensors", ".lock", "study.sqlite-journal")),
        *(change("study.sqlite", at=at) for at in ("../x", "points/x", "a/b", 7, None)),
        change("study.sqlite", sha256="0" * 63),
        change("study.sqlite", sha256=None),
        change("study.sqlite", size=-1),
        change("study.sqlite", size=True),
        change("study.sqlite", size=10**30),
        lambda files: files.update({"study.sqlite": []}),
    ],
)  # fmt: skip
def test_a_list_of_somebody_else_names_no_other_file(
    remote: RemoteFolder, plant: Callable[[dict[str, Any]], None]
) -> None:
    write_contents(remote, FILES)
    values = json.loads(remote.read(CONTENTS, 9999) or b"")
    del values["seal"]
    plant(values["files"])
    remote.put_bytes(CONTENTS, json.dumps(values).encode())
    with pytest.raises(StoreError, match="is unusable"):
        read_contents(remote)


def test_a_later_format_is_refused(remote: RemoteFolder) -> None:
    remote.put_bytes(CONTENTS, b'{"format": 2, "files": {}}')
    with pytest.raises(StoreError, match="format 2, not 1"):
        read_contents(remote)
