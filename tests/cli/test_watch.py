"""`secateur watch` as its users run it; the page itself is tested in tests/browser."""

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secateur.cli import app
from secateur.report import server
from secateur.study.store import Store

PATIENCE = 120


@contextmanager
def watching(bench: Any, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command and its URL; it is killed if a test leaves it alive."""
    with bench.start("watch", "run", *arguments) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("Watching run at http://127.0.0.1:"), process.communicate()
            yield process, line.split()[3]
        finally:
            process.kill()


@pytest.fixture
def bench(make_bench: Callable[..., Any]) -> Any:
    return make_bench()


def test_ctrl_c_ends_the_watching_quietly_with_0(bench: Any) -> None:
    with watching(bench) as (process, url):
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            assert b"Waiting for a sweep" in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert (out, err) == ("", "There is no study in it yet: waiting for one.\n")
    assert not (bench.folder / "run").exists()  # nothing is written by watching


def test_a_study_that_has_ended_is_served(
    bench: Any, make_point: Callable[..., Any], put: Callable[..., None]
) -> None:
    run, point = make_point("dense", (), 90)
    with Store.writing(bench.folder / "run") as store:
        store.begin({"name": "ended"}, [run])
        put(store, run, point)
    with (
        watching(bench, "--port", "0") as (process, url),
        urllib.request.urlopen(f"{url}study.json", timeout=PATIENCE) as answer,
    ):
        assert b'"state":"done"' in answer.read()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")


def test_a_taken_port_is_one_line_and_exit_2(bench: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = bench.run("watch", "run", "--port", str(taken.getsockname()[1]))
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not to be had (Address already in use)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("opens", "said"), [(True, ""), (False, "No browser to open here")])
def test_open_asks_the_browser_and_says_where_to_go_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, opens: bool, said: str
) -> None:
    opened: list[str] = []

    def interrupted(self: server.LivePage) -> None:
        opened.append(f"served {self.url}")
        raise KeyboardInterrupt

    monkeypatch.setattr(server.LivePage, "serve", interrupted)
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or opens)  # type: ignore[func-returns-value]
    done = CliRunner().invoke(app, ["watch", str(tmp_path), "--open"], catch_exceptions=False)
    assert done.exit_code == 0
    url = done.stdout.split()[3]
    assert opened == [url, f"served {url}"]
    assert said in done.stderr
    opened.clear()
    CliRunner().invoke(app, ["watch", str(tmp_path)], catch_exceptions=False)
    assert len(opened) == 1  # a browser is opened when it is asked for


@pytest.mark.parametrize("port", ["-1", "70000", "http"])
def test_what_is_no_port_is_refused(port: str) -> None:
    done = CliRunner().invoke(app, ["watch", "run", "--port", port])
    assert done.exit_code == 2
    assert "--port" in done.stderr


def test_watching_needs_no_torch() -> None:
    code = "import sys, secateur.report.server; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
