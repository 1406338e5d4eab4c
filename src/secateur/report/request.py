"""Requests of anybody: bounded in size and time, and refused unless a browser here makes them.

Another user of the machine, a page of another site, or a program that pretends to be a browser can
all reach a port of 127.0.0.1. None of them may hold a thread for long, and none may read a study
through a name, a header or a method that we have not thought of.
"""

from __future__ import annotations

import io
import re
import socket
import time
from collections.abc import Mapping
from email.message import Message
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from typing import Any

LONGEST_HEAD = 1 << 16
"""Bytes of a request: its first line and its headers."""

IDLE_SECONDS, HEAD_SECONDS, SEND_SECONDS = 30.0, 10.0, 60.0
"""Until a request begins, until its head is there, and until its answer has been taken."""

_NAME = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
"""This machine's own names; a tunnel may have changed the port."""

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def refusal(headers: Message) -> tuple[HTTPStatus, str] | None:
    """Why a request is not answered; None if it is.

    Args:
        headers: Of the request.

    Returns:
        A status and a sentence. Nothing of the request is repeated in it.
    """
    if headers.defects or headers.get_payload():
        return HTTPStatus.BAD_REQUEST, "A header is none."
    if "Transfer-Encoding" in headers or headers.get_all("Content-Length", ["0"]) != ["0"]:
        return HTTPStatus.BAD_REQUEST, "Requests here have no body."
    hosts = headers.get_all("Host", [])
    if len(hosts) != 1:
        return HTTPStatus.BAD_REQUEST, "One Host header is expected."
    host = hosts[0].strip(" \t").lower()
    if not _NAME.fullmatch(host):
        return HTTPStatus.FORBIDDEN, "Only this machine's own names are answered to."
    if not _is_own(headers, f"http://{host}"):
        return HTTPStatus.FORBIDDEN, "Pages of other sites are not answered."
    return None


def _is_own(headers: Message, origin: str) -> bool:
    """Whether a page of ours asks, or somebody who has followed a link or typed the address."""
    if any(given.lower() != origin for given in headers.get_all("Origin", [])):
        return False
    if headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
        return True
    return (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == (
        "navigate",
        "document",
    )


class _Incoming(io.RawIOBase):
    """What comes over a connection: of each request so many bytes, within so many seconds."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """A request is waited for."""
        self._left = LONGEST_HEAD
        self._until: float | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._left <= 0:
            raise LineTooLong("request")
        left = IDLE_SECONDS if self._until is None else self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("a request that does not end")
        self._connection.settimeout(left)
        count = self._connection.recv_into(memoryview(buffer)[: self._left])
        if self._until is None:
            self._until = time.monotonic() + HEAD_SECONDS
        self._left -= count
        return count


class BoundedHandler(BaseHTTPRequestHandler):
    """Answers requests one by one, each bounded in size and time; `do_GET` is to be written.

    What it has no method for is answered with 501, as the base class does.
    """

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # the one before has no answer but a body
    server_version = "secateur"
    sys_version = ""
    connection: socket.socket

    def setup(self) -> None:
        """Read through the bounds."""
        super().setup()
        self._incoming = _Incoming(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self._incoming)

    def handle_one_request(self) -> None:
        """Answer one request, or close the connection."""
        self._incoming.begin()
        try:
            super().handle_one_request()
        except LineTooLong:  # in its first line
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def handle_expect_100(self) -> bool:
        """No body is waited for."""
        return True

    def send(self, status: HTTPStatus, headers: Mapping[str, str], body: bytes) -> None:
        """Send an answer, with what every answer says."""
        self.connection.settimeout(SEND_SECONDS)
        self.send_response(status)
        for name, value in {**_HEADERS, **headers}.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(
        self,
        code: int,
        message: str | None = None,  # noqa: ARG002
        explain: str | None = None,
    ) -> None:
        """Send a refusal, in which nothing of the request is repeated, and close the connection."""
        status = HTTPStatus(code)
        headers = {"Content-Type": "text/plain; charset=utf-8", "Connection": "close"}
        self.send(status, headers, f"{explain or status.phrase}\n".encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """The terminal is not for every poll of a page."""
