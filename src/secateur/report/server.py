"""The live page: the study's page served to browsers of this machine while the study runs.

What the server does with a request: it compares the path with two constants. No path from a URL
is ever opened, nothing is written, and only names of this machine are answered to, so that a
page elsewhere cannot read the study through a name that it has pointed at 127.0.0.1 (DNS
rebinding). `request.py` bounds and refuses the rest.
"""

from __future__ import annotations

import hashlib
import html
import json
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from secateur.errors import SecateurError, StoreError, UsageError
from secateur.report.page import render, values
from secateur.report.request import BoundedHandler, refusal
from secateur.study.folder import check_kind
from secateur.study.heartbeat import read_heartbeat
from secateur.study.store import Store

ADDRESS = "127.0.0.1"
FIRST_PORT = 8765
_PORTS = 20
_MOST_CONNECTIONS = 64
"""At a time, each of them a thread; a browser opens some six."""

_REST = 5
"""While a sweep runs, values are made anew after so many times as long as they took to make."""

# Without a script: the browser asks again by itself, and gets the page once there is a study.
_WAITING = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="refresh" content="2">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 15vh auto;
padding: 0 1rem }}</style>
<h1>{title}</h1>
<p role="status">{text}</p>
<p>This page looks again every two seconds.</p>
</html>
"""


@dataclass(frozen=True)
class Answer:
    """What a request gets.

    Attributes:
        status: The HTTP status.
        kind: The content type.
        body: The bytes.
    """

    status: HTTPStatus
    kind: str
    body: bytes

    @cached_property
    def tag(self) -> str:
        """The entity tag: a browser that has these bytes is spared them."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


class LiveStudy:
    """A run folder as a page and as JSON, made anew when the store has changed.

    There may be no study in the folder yet, and the folder may be replaced by another.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._mark: object = None
        self._values: dict[str, Any] = {}
        self._rested = 0.0

    def page(self) -> Answer:
        """The page, or one that says what it is waiting for."""
        try:
            text = render(self.values(), live=True)
        except (SecateurError, sqlite3.Error) as error:
            text = self._waiting(error)
        return Answer(HTTPStatus.OK, "text/html; charset=utf-8", text.encode())

    def study(self) -> Answer:
        """The page's values as JSON."""
        try:
            body, status = self.values(), HTTPStatus.OK
        except (SecateurError, sqlite3.Error) as error:
            body, status = {"waiting": str(error)}, HTTPStatus.SERVICE_UNAVAILABLE
        text = json.dumps(body, allow_nan=False, separators=(",", ":"))
        return Answer(status, "application/json", text.encode())

    def values(self) -> dict[str, Any]:
        """What `page.values` tells of the store now, and what the sweep is doing under `live`.

        `live` holds `state`: `running`, or else `done` or `stopped` (runs are still to be done);
        and `heartbeat`, what `read_heartbeat` tells, or None.

        Raises:
            SecateurError: There is no study, or not one that can be read.
        """
        heartbeat = read_heartbeat(self.folder)
        with self._lock:
            mark = _mark(self.folder)
            if mark is None or (mark != self._mark and (not heartbeat or self._is_rested())):
                self._make(mark)
            kept = self._values
        ended = "stopped" if kept["study"]["missing"] else "done"
        # A heartbeat that tells the same again is the same answer.
        told = heartbeat and {name: value for name, value in heartbeat.items() if name != "written"}
        live = {"state": "running" if heartbeat else ended, "heartbeat": told}
        return {**kept, "live": live}

    def _is_rested(self) -> bool:
        """A study of thousands of points takes a second to look through: the sweep comes first."""
        return time.monotonic() >= self._rested

    def _make(self, mark: object) -> None:
        begun = time.monotonic()
        store = Store(self.folder)
        try:
            self._values = values(store)
        finally:
            store.close()
        self._mark = mark
        now = time.monotonic()
        self._rested = now + _REST * (now - begun)

    def _waiting(self, error: Exception) -> str:
        there = (self.folder / "study.sqlite").exists()
        title = f"{self.folder.name}: {'cannot be read' if there else 'no study yet'}"
        text = str(error) if there else f"Waiting for a sweep to begin in {self.folder}."
        return _WAITING.format(title=html.escape(title), text=html.escape(text))


def _mark(folder: Path) -> object:
    """Something that differs whenever the store has changed; None where that can't be told.

    SQLite counts changes in the file's header. Times alone would miss one that comes within a
    tick of the clock after the last.
    """
    try:
        check_kind(folder / "study.sqlite")  # a pipe would be waited for
        with (folder / "study.sqlite").open("rb") as file:
            header = file.read(100)
        stat = (folder / "study.sqlite").stat()
    except (OSError, StoreError):
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, header[24:28]


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # a browser that keeps its connection open doesn't keep us

    def __init__(self, port: int, study: LiveStudy) -> None:
        self.study = study
        self._room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__((ADDRESS, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection, or close it where there are too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except Exception:  # no thread was to be had; one that Ctrl-C found begun makes room itself
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer over a connection until it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone away is no news; anything else is told on the terminal."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BoundedHandler):
    """GET and HEAD."""

    server: _Server

    def do_GET(self) -> None:  # noqa: N802
        refused = refusal(self.headers)
        if refused:
            self.send_error(refused[0], explain=refused[1])
            return
        answer = self._answer()
        headers = {"ETag": answer.tag} if answer.status == HTTPStatus.OK else {}
        if headers and answer.tag in self.headers.get("If-None-Match", ""):
            self.send(HTTPStatus.NOT_MODIFIED, headers, b"")
            return
        headers["Content-Type"] = answer.kind
        self.send(answer.status, headers, answer.body)

    do_HEAD = do_GET  # noqa: N815

    def _answer(self) -> Answer:
        pages: Mapping[str, Callable[[], Answer]] = {
            "/": self.server.study.page,
            "/study.json": self.server.study.study,
        }
        make = pages.get(self.path.partition("?")[0])
        return make() if make else _text(HTTPStatus.NOT_FOUND, "Not here.")


def _text(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", text.encode())


@dataclass
class LivePage:
    """A study's page on a port of this machine; a context manager that frees the port.

    Args:
        folder: The run folder; it need not exist yet.
        port: Where to listen; None for the first free one from 8765 on.

    Raises:
        UsageError: The port is taken, or not allowed.
    """

    folder: Path
    port: int | None = None
    _server: _Server = field(init=False, repr=False)

    def __post_init__(self) -> None:
        study = LiveStudy(self.folder)
        if self.port is not None:
            self._server = _listen(self.port, study)
        else:
            self._server = _first_free(study)
        self.port = self._server.server_port

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{ADDRESS}:{self.port}/"

    def serve(self) -> None:
        """Answer until `stop`, or until Ctrl-C."""
        self._server.serve_forever(poll_interval=0.2)

    def stop(self) -> None:
        """End `serve`, which runs in another thread."""
        self._server.shutdown()

    def __enter__(self) -> LivePage:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()


def _listen(port: int, study: LiveStudy) -> _Server:
    try:
        return _Server(port, study)
    except OSError as error:
        raise UsageError(
            "serving the page",
            f"port {port}",
            given=f"not to be had ({error.strerror})",
            expected="a free port of this machine",
            remedy="Leave --port out, and a free one is found.",
        ) from None


def _first_free(study: LiveStudy) -> _Server:
    for port in range(FIRST_PORT, FIRST_PORT + _PORTS):
        try:
            return _Server(port, study)
        except OSError:
            continue
    return _listen(0, study)  # whichever the system has
