"""Copies of a run folder: what is copied when, and that a copy that is cut off never counts."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from secateur.errors import StoreError, UsageError
from secateur.remote import copy as module
from secateur.remote.contents import CONTENTS, read_contents
from secateur.remote.copy import RemoteCopy, copy_run
from secateur.remote.fetch import fetch_run
from secateur.remote.folder import RemoteFolder
from secateur.study.store import Store

from .run_source import KEYS, Source


def test_a_copy_brings_what_is_new_and_comes_back_byte_for_byte(
    address: str, source: Source, tmp_path: Path
) -> None:
    remote = RemoteFolder(address)
    source.end(0)
    assert copy_run(source.folder, remote) == 2
    assert copy_run(source.folder, remote) == 0
    back = tmp_path / "early"
    fetch_run(address, back)
    assert len(Store(back).points()) == 1  # of an unfinished study, too
    made = [source.end(place) for place in (1, 2)]
    assert copy_run(source.folder, remote, whole=True) == 5
    names = remote.names()
    assert [name for name in names if not name.startswith(("points/", "study-"))] == [
        "points.csv", "report.html", CONTENTS,
    ]  # fmt: skip
    assert len([name for name in names if name.startswith("study-")]) == 1
    fetched = fetch_run(address, tmp_path / "back")
    assert fetched.files == fetched.new == 6
    for path in made:
        assert (tmp_path / "back" / "points" / path.name).read_bytes() == path.read_bytes()
    assert Store(tmp_path / "back").points() == Store(source.folder).points()
    assert "<title>" in (tmp_path / "back" / "report.html").read_text()


def test_a_lost_or_damaged_checkpoint_is_not_copied_and_one_made_again_is(
    source: Source, tmp_path: Path
) -> None:
    remote = RemoteFolder(str(tmp_path / "there"))
    path = source.end(0)
    path.write_bytes(b"damaged")
    copy_run(source.folder, remote)
    assert list(read_contents(remote)) == ["study.sqlite"]
    source.end(0)
    copy_run(source.folder, remote)
    assert len(read_contents(remote)) == 2


def test_the_copy_before_counts_until_the_next_is_whole(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(tmp_path / "there")
    remote = RemoteFolder(address)
    source.end(0)
    copy_run(source.folder, remote)
    before = read_contents(remote)
    source.end(1)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_contents", stopped)
        with pytest.raises(KeyboardInterrupt):
            copy_run(source.folder, remote)
    assert read_contents(remote) == before
    fetch_run(address, tmp_path / "back")
    assert len(Store(tmp_path / "back").points()) == 1
    left = tmp_path / "there" / "points" / ".x.partial"
    left.touch()
    copy_run(source.folder, remote)
    assert not left.exists()
    assert len(list((tmp_path / "there").glob("study-*"))) == 1


def test_a_run_does_not_take_another_ones_place(source: Source, tmp_path: Path) -> None:
    remote = RemoteFolder(str(tmp_path / "there"))
    source.end(0)
    copy_run(source.folder, remote)
    other = Source(tmp_path / "other", source.made[1:])
    with Store.writing(other.folder) as store:
        store.begin(Store(source.folder).settings, [run for run, _ in other.made])
    other.end(0)
    before = read_contents(remote)
    with pytest.raises(StoreError, match="holds another run"):
        copy_run(other.folder, remote)
    assert read_contents(remote) == before


def test_while_a_sweep_runs_it_copies_and_an_address_out_of_reach_is_told_and_tried_again(
    source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = tmp_path / "there"
    copies = RemoteCopy(source.folder, str(there), every=0.0)
    tried = threading.Event()
    plain = module.copy_run

    def copy_run(folder: Path, remote: RemoteFolder, *, whole: bool = False) -> int:
        try:
            return plain(folder, remote, whole=whole)
        finally:
            tried.set()

    monkeypatch.setattr(module, "copy_run", copy_run)
    run = source.made[0][0]
    with copies:
        shutil.rmtree(there)
        there.write_text("in the way")
        source.end(0)
        copies.ended(run, "")
        assert tried.wait(60)
        there.unlink()
        tried.clear()
        source.end(1)
        copies.ended(run, "it failed")  # nothing to copy
        copies.ended(run, "")
        assert tried.wait(60)
    assert caplog.text.count("The sweep goes on, and the copy is tried again.") == 1
    assert len(read_contents(copies.remote)) == 3
    source.end(2)
    assert copies.finish() == 4
    assert len(read_contents(copies.remote)) == 6


def test_an_address_that_cannot_be_written_is_told_before_training(
    source: Source, tmp_path: Path
) -> None:
    (tmp_path / "there").write_text("a file in the way")
    with pytest.raises(UsageError, match=r"trying an address: .*there is out of reach"):
        RemoteCopy(source.folder, str(tmp_path / "there"))


class Stalling:
    """A way to a server that lets so many bytes through and then no more."""

    def __init__(self, server: str, most: int) -> None:
        host, _, port = server.removeprefix("http://").rpartition(":")
        self._server = (host, int(port))
        self._most = most
        self.stalled = threading.Event()
        self._held = ExitStack()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours = self._held.enter_context(self._listening.accept()[0])
                theirs = self._held.enter_context(socket.create_connection(self._server))
                for way in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=self._pass_on, args=way, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                self._most -= len(piece)
                if self._most < 0:
                    self.stalled.set()
                    return  # the rest never comes, and nobody is told
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listening.close()
        self._held.close()


@pytest.fixture
def stalling(s3_server: str) -> Iterator[Stalling]:
    made = Stalling(s3_server, 6 << 20)
    yield made
    made.close()


COPY = """
import sys
from pathlib import Path
from secateur.remote.copy import copy_run
from secateur.remote.folder import RemoteFolder
copy_run(Path(sys.argv[1]), RemoteFolder(sys.argv[2]))
"""


def test_killed_in_the_middle_of_an_upload_the_copy_before_counts_and_the_next_is_whole(
    s3: str, stalling: Stalling, source: Source, tmp_path: Path
) -> None:
    remote = RemoteFolder(s3)
    source.end(0)
    copy_run(source.folder, remote)
    before = read_contents(remote)
    big = source.end(1, os.urandom(12 << 20))
    environment = {
        **os.environ,
        "FSSPEC_S3_ENDPOINT_URL": stalling.address,
        "FSSPEC_S3_KEY": KEYS["key"],
        "FSSPEC_S3_SECRET": KEYS["secret"],
    }
    command = [sys.executable, "-c", COPY, str(source.folder), s3]
    with subprocess.Popen(command, env=environment) as process:
        assert stalling.stalled.wait(120)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert read_contents(remote) == before
    assert not any(big.name in name for name in remote.names())
    assert fetch_run(s3, tmp_path / "early").files == 2
    assert copy_run(source.folder, remote) == 2
    assert fetch_run(s3, tmp_path / "back").files == 3
    assert (tmp_path / "back" / "points" / big.name).read_bytes() == big.read_bytes()
    assert [name for name in remote.names() if name.endswith(".partial")] == []
