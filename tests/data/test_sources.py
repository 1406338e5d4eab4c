import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from secateur.data.sources import OfficialFile, locate
from secateur.errors import DataError

CONTENT = b"the official bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOWHERE = "http://127.0.0.1:9/file.bin"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path / "chosen"))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server of this process, on this machine, with one file."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "file.bin").write_bytes(CONTENT)
    handler = partial(Quiet, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{host.server_address[1]}"
        host.shutdown()
        thread.join()


def put(folder: Path, content: bytes = CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "file.bin").write_bytes(content)
    return folder / "file.bin"


def test_the_places_are_looked_at_in_order(tmp_path: Path) -> None:
    file = OfficialFile("file.bin", SHA256, ())
    system = tmp_path / "system"
    last = put(system)
    assert locate("set", file, [system]) == last
    middle = put(tmp_path / "cache" / "secateur" / "data" / "set")
    assert locate("set", file, [system]) == middle
    first = put(tmp_path / "chosen" / "set")
    assert locate("set", file, [system]) == first


def test_another_packing_of_the_same_bytes_is_accepted(tmp_path: Path) -> None:
    put(tmp_path / "chosen" / "set")
    assert locate("set", OfficialFile("file.bin", "0" * 64, (), (SHA256,))).is_file()


def test_a_found_file_is_checked(tmp_path: Path) -> None:
    path = put(tmp_path / "chosen" / "set", CONTENT[:-1])
    with pytest.raises(DataError) as caught:
        locate("set", OfficialFile("file.bin", SHA256, (NOWHERE,)))
    message = str(caught.value)
    assert str(path) in message
    assert "17 bytes" in message
    assert SHA256 in message
    assert "Delete it" in message


def test_a_missing_file_is_downloaded_once_into_the_cache(tmp_path: Path, server: str) -> None:
    file = OfficialFile("file.bin", SHA256, (NOWHERE, f"{server}/file.bin"))
    found = locate("set", file)
    assert found == tmp_path / "cache" / "secateur" / "data" / "set" / "file.bin"
    assert found.read_bytes() == CONTENT
    assert locate("set", OfficialFile("file.bin", SHA256, ())) == found


def test_a_wrong_download_is_refused_and_not_kept(tmp_path: Path, server: str) -> None:
    file = OfficialFile("file.bin", "0" * 64, (f"{server}/file.bin",))
    with pytest.raises(DataError, match="not to be downloaded"):
        locate("set", file)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_failed_download_names_the_places_and_the_remedy(tmp_path: Path, server: str) -> None:
    file = OfficialFile("file.bin", SHA256, (NOWHERE, f"{server}/missing.bin"))
    with pytest.raises(DataError) as caught:
        locate("set", file, [tmp_path / "system"])
    message = str(caught.value)
    for place in ("chosen/set", "cache/secateur/data/set", "system"):
        assert str(tmp_path / place) in message
    assert f"{NOWHERE}: ConnectionError" in message
    assert "404" in message
    assert "Put it into" in message
    assert "\n" not in message


def test_without_the_variable_only_the_cache_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SECATEUR_DATA")
    put(tmp_path / "chosen" / "set")
    kept = put(tmp_path / "cache" / "secateur" / "data" / "set")
    assert locate("set", OfficialFile("file.bin", SHA256, ())) == kept
