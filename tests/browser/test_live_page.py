"""The live page in a browser, over a server that says whatever the test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from secateur.report import page
from secateur.study.store import Store

from .conftest import Opened


class Server:
    """Serves the live page of `values`, and `values` as they are now."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                live = self.path == "/study.json"
                body = json.dumps(told.values) if live else page.render(told.values, live=True)
                self.send_response(200)
                self.send_header("Content-Type", "application/json" if live else "text/html")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def values_of(run: Path, count: int) -> dict[str, Any]:
    """The values of a study of which only so many points have landed."""
    values = page.values(Store(run))
    there = {point["digest"] for point in values["points"][:count]}
    values["points"] = values["points"][:count]
    landed = {
        place: kept
        for place, level in enumerate(values["levels"])
        if (kept := [one for one in level["points"] if one < count])
    }
    for choice in values["choices"].values():
        now = {place: number for number, place in enumerate(landed)}
        choice["frontier"] = [now[place] for place in choice["frontier"] if place in now]
        picks = [[floor, now[place]] for floor, place in choice["picks"] if place in now]
        choice["picks"] = picks
    places = {place: number for number, place in enumerate(landed)}
    values["levels"] = [
        {**(one := values["levels"][place]), "points": kept, "ships": kept[0],
         "dense": places.get(one["dense"])}
        for place, kept in landed.items()
    ]  # fmt: skip
    assert len(there) == count
    return values


def running(title: str, epoch: int) -> dict[str, Any]:
    under = {"title": title, "epoch": epoch, "epochs": 9, "val_accuracy": 0.5 if epoch else None}
    heartbeat = {"doing": "training", "runs": 18, "ended": 5, "failed": 0, "seconds_left": 300.0}
    return {"state": "running", "version": "1", "heartbeat": {**heartbeat, "underway": [under]}}


@pytest.fixture
def server(old_run: Path) -> Iterator[Server]:
    started = Server({**values_of(old_run, 8), "live": None})
    started.values["live"] = running("magnitude 0.7 seed 0", 0)
    yield started
    started.close()


def test_points_land_without_a_reload_and_the_users_choices_stay(
    server: Server, old_run: Path, open_page: Callable[..., Opened]
) -> None:
    opened = open_page(server.url)
    sheet = opened.page
    sheet.wait_for_selector("#live-runs li")
    assert "5 of 18 runs ended · about 5 min left" in opened.text("#live-state")
    sheet.evaluate("window.same = true")
    sheet.select_option("#x", "macs")
    sheet.select_option("#y", "test_accuracy")
    sheet.fill("#floor-number", "0.123")
    sheet.uncheck("#methods input[value=l1-filter]")
    sheet.locator('.dot[data-key="magnitude/0"]').dispatch_event("click")
    sheet.locator('.dot[data-key="magnitude/0"]').focus()
    sheet.evaluate("window.scrollTo(0, 300)")
    before = sheet.evaluate("window.scrollY")

    full = values_of(old_run, 12)
    server.values = {**full, "live": running("slimming 0.7 seed 0", 4)}
    opened.wait("#live-runs", "slimming 0.7 seed 0epoch 4 of 9, validation accuracy 0.5000")
    assert opened.page.locator("#table tbody tr").count() == 12
    assert "New: " in opened.text("#said")
    assert sheet.evaluate("window.same")
    assert sheet.input_value("#x") == "macs"
    assert sheet.input_value("#y") == "test_accuracy"
    assert sheet.input_value("#floor-number") == "0.123"
    assert not any(name.startswith("l1-filter") for name in opened.keys(".dot"))
    assert opened.keys('.dot[aria-pressed="true"]') == {"magnitude/0"}
    assert sheet.evaluate("document.activeElement.dataset.key") == "magnitude/0"
    assert sheet.evaluate("window.scrollY") == before
    assert opened.complaints == []
    assert set(opened.requests) == {f"{server.url}study.json"}


def test_the_end_and_a_server_that_is_gone_are_told(
    server: Server, open_page: Callable[..., Opened]
) -> None:
    opened = open_page(server.url)
    opened.wait("#live-state", "Running")
    server.values = {**server.values, "live": {"state": "done", "version": "2", "heartbeat": None}}
    opened.wait("#live-state", "Finished")
    assert opened.page.locator("#live-runs li").count() == 0
    server.close()
    opened.wait("#live-state", "The server is gone")
    assert opened.page.locator(".dot").count() > 3
