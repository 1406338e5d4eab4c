"""Requests that no browser makes, over a socket of our own."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from email.message import Message
from http import HTTPStatus
from typing import Any

import pytest

from secateur.report import request as module
from secateur.report import server
from secateur.report.request import refusal
from secateur.report.server import LivePage
from secateur.study.store import Store

Send = Callable[..., bytes]
HOST = b"Host: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory,
    make_point: Callable[..., Any],
    put: Callable[..., None],
) -> Iterator[LivePage]:
    """The page of a study with one point, which waits a second for whatever it waits for."""
    folder = tmp_path_factory.mktemp("page") / "run"
    run, point = make_point("dense", (), 90)
    with Store.writing(folder) as store:
        store.begin({"name": "secret"}, [run])
        put(store, run, point)
    with pytest.MonkeyPatch.context() as patch, LivePage(folder, 0) as page:
        for name in ("IDLE_SECONDS", "HEAD_SECONDS", "SEND_SECONDS"):
            patch.setattr(module, name, 1.0)
        thread = threading.Thread(target=page.serve)
        thread.start()
        yield page
        page.stop()
        thread.join()


def connect(page: LivePage) -> socket.socket:
    assert page.port is not None
    return socket.create_connection(("127.0.0.1", page.port), timeout=20)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the connection ends."""
    told = b""
    with suppress(ConnectionError):
        while piece := connection.recv(1 << 16):
            told += piece
    return told


@pytest.fixture
def send(page: LivePage) -> Send:
    def send(*pieces: bytes, closed: bool = True) -> bytes:
        with connect(page) as connection:
            with suppress(OSError):
                for piece in pieces:
                    connection.sendall(piece)
                if closed:
                    connection.shutdown(socket.SHUT_WR)
            return answer(connection)

    return send


def status(told: bytes) -> int:
    return int(told.split(b" ", 2)[1])


def test_a_plain_request_is_answered(send: Send) -> None:
    told = send(b"GET /study.json HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status(told), b"secret" in told) == (200, True)


REFUSED: dict[str, tuple[bytes, int]] = {
    "a host and a path": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1/evil\r\n\r\n", 403),
    "a user before the host": (b"GET / HTTP/1.1\r\nHost: evil@127.0.0.1\r\n\r\n", 403),
    "a port that is none": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8765@evil\r\n\r\n", 403),
    "a host that goes on": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil\r\n\r\n", 403),
    "a host with a zero byte": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\0.evil\r\n\r\n", 403),
    "a folded host": (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n evil\r\n\r\n", 403),
    "another name": (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    "a second host": (b"GET / HTTP/1.1\r\n" + HOST + b"Host: evil\r\n\r\n", 400),
    "the same host twice": (b"GET / HTTP/1.1\r\n" + 2 * HOST + b"\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "no host, of old": (b"GET / HTTP/1.0\r\n\r\n", 400),
    "a line that is no header": (b"GET / HTTP/1.1\r\n" + HOST + b"evil\r\nA: b\r\n\r\n", 400),
    "another origin": (b"GET / HTTP/1.1\r\n" + HOST + b"Origin: http://evil\r\n\r\n", 403),
    "no origin to tell": (b"GET / HTTP/1.1\r\n" + HOST + b"Origin: null\r\n\r\n", 403),
    "another port of this machine": (
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\nOrigin: http://127.0.0.1:81\r\n\r\n",
        403,
    ),
    "a picture in a page elsewhere": (
        b"GET /study.json HTTP/1.1\r\n"
        + HOST
        + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n\r\n",
        403,
    ),
    "a frame in a page elsewhere": (
        b"GET / HTTP/1.1\r\n"
        + HOST
        + b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"
        + b"Sec-Fetch-Dest: iframe\r\n\r\n",
        403,
    ),
    "a whole address": (b"GET http://evil/study.json HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "an address that is none": (b"GET http://[ HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a path out": (b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a hidden path out": (b"GET /%2e%2e%2fetc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a path with a backslash": (b"GET \\study.sqlite HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a path with a zero byte": (b"GET /study.json\0 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "the store": (b"GET /study.sqlite HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a method that writes": (b"DELETE / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "a method of nobody": (b"__class__ / HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "a tunnel": (b"CONNECT evil:443 HTTP/1.1\r\n" + HOST + b"\r\n", 501),
    "a body": (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nGET /", 400),
    "two lengths": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n",
        400,
    ),
    "a body in pieces": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a version to come": (b"GET / HTTP/9.9\r\n" + HOST + b"\r\n", 505),
    "no version": (b"GET / evil\r\n" + HOST + b"\r\n", 400),
    "words": (b"<script>alert(1)</script> <b> <i> <u>\r\n\r\n", 400),
    "bytes": (bytes(range(128, 256)) + b"\r\n\r\n", 400),
    "a long line": (b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n", 431),
    "a long header": (b"GET / HTTP/1.1\r\nA: " + b"a" * 300_000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", 431),
    "a head without an end": (b"GET / HTTP/1.1\r\n" + b"A: " + b"b\r\n c" * 50_000, 431),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_browser_here_sends_is_refused(
    send: Send, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    content, expected = REFUSED[kind]
    told = send(content)
    assert status(told) == expected
    assert b"secret" not in told
    assert b"evil" not in told
    assert b"<script>" not in told
    assert b"X-Content-Type-Options: nosniff" in told
    assert b"Access-Control" not in told
    time.sleep(0.02)
    assert capsys.readouterr() == ("", "")


def test_a_link_elsewhere_may_be_followed_and_our_page_may_ask() -> None:
    def headers(**given: str) -> Message:
        made = Message()
        for name, value in {"Host": "localhost:9", **given}.items():
            made[name.replace("_", "-")] = value
        return made

    assert refusal(headers()) is None
    assert refusal(headers(Origin="http://LOCALHOST:9")) is None
    assert refusal(headers(Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")) is None
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert refusal(headers(**link, Sec_Fetch_Dest="document")) is None
    assert refusal(headers(**link)) == (HTTPStatus.FORBIDDEN, refusal(headers(**link))[1])  # type: ignore[index]


def test_a_request_that_comes_letter_by_letter_is_given_up(page: LivePage) -> None:
    """A byte each half a second would keep a thread for ever: each is in time."""
    begun = time.monotonic()
    with connect(page) as connection:
        with suppress(ConnectionError):
            for letter in b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n":
                connection.sendall(bytes([letter]))
                time.sleep(0.25)
        assert answer(connection) == b""
    assert time.monotonic() - begun < 15


def test_who_says_nothing_and_who_goes_away_in_the_middle_is_given_up(
    page: LivePage, capsys: pytest.CaptureFixture[str]
) -> None:
    with connect(page) as silent, connect(page) as halved:
        halved.sendall(b"GET / HT")
        halved.shutdown(socket.SHUT_WR)
        assert b"secret" not in answer(halved)
        assert answer(silent) == b""
    with connect(page) as gone:
        gone.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    time.sleep(0.1)
    assert capsys.readouterr() == ("", "")


def test_one_that_takes_no_answer_is_given_up(page: LivePage) -> None:
    with connect(page) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        with suppress(OSError):
            for _ in range(100):  # a page each
                connection.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        begun = time.monotonic()
        while page._server._room._value < server._MOST_CONNECTIONS:  # type: ignore[attr-defined]
            assert time.monotonic() - begun < 15
            time.sleep(0.05)


def until(seen: Callable[[], bool]) -> None:
    """Wait for what a server's threads bring about, a busy machine's too."""
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_there_are_only_so_many_connections_and_then_again_some(page: LivePage) -> None:
    ask = b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

    def told() -> bytes:
        with connect(own) as connection:
            with suppress(ConnectionError):
                connection.sendall(ask)
            return answer(connection)

    with LivePage(page.folder, 0) as own:
        own._server._room = threading.BoundedSemaphore(2)
        thread = threading.Thread(target=own.serve)
        thread.start()
        with ExitStack() as held:

            def is_full() -> bool:
                held.enter_context(connect(own))
                return told() == b""

            until(is_full)
        until(lambda: told().startswith(b"HTTP/1.1 200"))
        own.stop()
        thread.join()


def test_one_connection_has_many_requests(send: Send) -> None:
    told = send(3 * (b"HEAD / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n"))
    assert told.count(b"HTTP/1.1 200 OK") == 3
    assert b"100 Continue" not in told
