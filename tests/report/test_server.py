import http.client
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.report import server as module
from secateur.report.server import LivePage
from secateur.study.heartbeat import Heartbeat
from secateur.study.store import Store

Answer = tuple[int, dict[str, str], bytes]
Ask = Callable[..., Answer]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run <b>"


@pytest.fixture
def page(folder: Path) -> Iterator[LivePage]:
    with LivePage(folder, 0) as page:
        thread = threading.Thread(target=page.serve)
        thread.start()
        yield page
        page.stop()
        thread.join()


@pytest.fixture
def ask(page: LivePage) -> Ask:
    def ask(path: str = "/", method: str = "GET", **headers: str) -> Answer:
        assert page.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    return ask


@pytest.fixture
def write(
    folder: Path, make_point: Callable[..., Any], put: Callable[..., None]
) -> Callable[..., None]:
    """Writes a study of the dense net and of as many levels as are given."""

    def write(*levels: float, name: str = "one") -> None:
        made = [make_point("dense", (), 90)]
        made += [make_point("magnitude", (each,), 80, step) for step, each in enumerate(levels)]
        with Store.writing(folder) as store:
            left, _ = make_point("magnitude", (0.99,), 0, 99)
            store.begin({"name": name}, [*(run for run, _ in made), left])
            for each in made:
                put(store, *each)

    return write


def study(ask: Ask) -> dict[str, Any]:
    status, _, body = ask("/study.json")
    assert status == 200
    found: dict[str, Any] = json.loads(body)
    return found


def test_before_there_is_a_study_the_page_waits(ask: Ask, write: Callable[..., None]) -> None:
    status, headers, body = ask()
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"Waiting for a sweep" in body
    assert b"run &lt;b&gt;" in body
    assert b"<b>" not in body
    assert b"<script" not in body
    assert b'http-equiv="refresh"' in body
    status, _, body = ask("/study.json")
    assert status == 503
    assert "without study.sqlite" in body.decode() or "no folder" in body.decode()
    write()
    assert b"Waiting for" not in ask()[2]
    assert [point["method"] for point in study(ask)["points"]] == ["dense"]


def test_points_land_one_by_one(
    ask: Ask,
    folder: Path,
    write: Callable[..., None],
    make_point: Callable[..., Any],
    put: Callable[..., None],
) -> None:
    write()
    page = ask()[2].decode()
    assert "study.json" in page
    assert len(study(ask)["points"]) == 1
    with Store.writing(folder) as store:
        for number in range(3):
            run, point = make_point("magnitude", (number / 10,), 80, number)
            store.begin({"name": "one"}, [make_point("dense", (), 90)[0], run])
            put(store, run, point)
            found = study(ask)  # while the writer is at it
            assert [each["step"] for each in found["points"]] == [0, number]


def test_a_study_that_is_replaced_is_shown_in_the_place_of_the_old_one(
    ask: Ask, folder: Path, write: Callable[..., None]
) -> None:
    write(0.5, 0.9)
    assert len(study(ask)["points"]) == 3
    shutil.rmtree(folder)
    assert ask("/study.json")[0] == 503
    write(0.5, name="two")
    found = study(ask)
    assert (found["study"]["name"], len(found["points"])) == ("two", 2)


def test_what_is_no_store_is_told_in_words_and_served_once_it_is_mended(
    ask: Ask, folder: Path, write: Callable[..., None]
) -> None:
    folder.mkdir()
    (folder / "study.sqlite").write_bytes(b"<script>no database</script>" * 100)
    body = ask()[2]
    assert b"cannot be read" in body
    assert b"<script>" not in body
    assert ask("/study.json")[0] == 503
    (folder / "study.sqlite").unlink()
    write()
    assert study(ask)["study"]["name"] == "one"


def test_the_heartbeat_tells_whether_the_study_runs(
    ask: Ask, folder: Path, write: Callable[..., None], make_point: Callable[..., Any]
) -> None:
    write()
    assert study(ask)["live"] == {"state": "stopped", "heartbeat": None}
    run, _ = make_point("magnitude", (0.5,), 80)
    with Heartbeat(folder) as heartbeat:
        heartbeat.planned((run,), frozenset())
        heartbeat.started(run)
        live = study(ask)["live"]
        assert live["state"] == "running"
        assert [each["title"] for each in live["heartbeat"]["underway"]] == [run.title]
    with Store.writing(folder) as store:
        store.begin({"name": "one"}, [])
    assert study(ask)["live"]["state"] == "done"


def test_an_unchanged_answer_is_not_sent_again(
    ask: Ask, folder: Path, write: Callable[..., None]
) -> None:
    write()
    with Heartbeat(folder) as heartbeat:
        heartbeat.planned((), frozenset())
        _, headers, body = ask("/study.json")
        heartbeat.planned((), frozenset())  # which tells the same again
        status, again, nothing = ask("/study.json", If_None_Match=f'"other", W/{headers["ETag"]}')
        assert (status, again["ETag"], nothing) == (304, headers["ETag"], b"")
        assert body
    write(0.5)
    status, changed, _ = ask("/study.json", If_None_Match=headers["ETag"])
    assert status == 200
    assert changed["ETag"] != headers["ETag"]


def test_values_are_made_once_for_each_state_of_the_store(
    ask: Ask, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    real = module.values

    def values(store: Store) -> dict[str, Any]:
        made.append(store.folder)
        return real(store)

    monkeypatch.setattr(module, "values", values)
    write()
    for _ in range(3):
        study(ask)
        ask()
    assert len(made) == 1
    write(0.5)
    study(ask)
    assert len(made) == 2


def test_while_a_sweep_runs_making_values_takes_a_small_part_of_the_time(
    ask: Ask, folder: Path, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    real = module.values

    def values(store: Store) -> dict[str, Any]:
        now[0] += 2  # it is a large study
        return real(store)

    monkeypatch.setattr(module, "values", values)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    study_of = module.LiveStudy(folder)

    def count() -> int:
        return len(study_of.values()["points"])

    with Store.writing(folder):
        pass
    with Heartbeat(folder) as heartbeat:
        heartbeat.planned((), frozenset())
        write()
        assert count() == 1
        write(0.5)
        now[0] += 9
        assert count() == 1
        now[0] += 1
        assert count() == 2
        write(0.5, 0.9)
        assert count() == 2
    assert count() == 3  # the sweep has ended, and the page has it all


def test_head_is_get_without_the_body(ask: Ask, write: Callable[..., None]) -> None:
    write()
    _, headers, body = ask("/study.json")
    status, same, nothing = ask("/study.json", "HEAD")
    assert (status, nothing) == (200, b"")
    assert same["Content-Length"] == headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:9000", "LOCALHOST:1", "[::1]:80"])
def test_names_of_this_machine_are_answered_to(ask: Ask, host: str) -> None:
    assert ask(Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io:8765", "", "[", "evil@"]
)
def test_other_names_are_not(ask: Ask, write: Callable[..., None], host: str) -> None:
    write()
    for path in ("/", "/study.json"):
        status, _, body = ask(path, Host=host)
        assert status == 403
        assert b"dense" not in body


@pytest.mark.parametrize(
    "path",
    [
        "/study.sqlite",
        "/../run/study.sqlite",
        "/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/study.json/",
        "/points/",
    ],
)
def test_no_path_is_opened(ask: Ask, write: Callable[..., None], path: str) -> None:
    write()
    status, headers, body = ask(path)
    assert (status, body) == (404, b"Not here.")
    assert "ETag" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"])
def test_only_reading_is_served(ask: Ask, method: str) -> None:
    assert ask("/", method)[0] == 501


@pytest.mark.parametrize("path", ["/", "/study.json", "/nowhere"])
def test_every_answer_says_how_little_may_be_done_with_it(ask: Ask, path: str) -> None:
    headers = ask(path)[1]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers
    assert "Python" not in headers["Server"]


def test_it_listens_on_this_machine_alone(page: LivePage) -> None:
    assert page._server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_an_error_if_it_was_asked_for(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is not to be had"):
            LivePage(folder, port)


def test_without_a_wish_the_next_free_port_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(module, "FIRST_PORT", port)
        monkeypatch.setattr(module, "_PORTS", 1)
        with LivePage(folder) as page:
            assert page.port not in (None, 0, port)
            assert page.url == f"http://127.0.0.1:{page.port}/"


def test_a_defect_of_ours_is_told_on_the_terminal(
    ask: Ask,
    write: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write()
    monkeypatch.setattr(module, "render", lambda *_, **__: 1 / 0)
    with pytest.raises(http.client.RemoteDisconnected):
        ask()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_ctrl_c_while_a_connection_is_taken_ends_the_serving(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes to the main thread, which waits for the connection's own to have started."""
    begin = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        begin(thread)
        if "process_request_thread" in thread.name:
            thread.join()
            raise KeyboardInterrupt

    with (
        LivePage(folder, 0) as page,
        socket.create_connection(("127.0.0.1", page.port or 0)) as one,
    ):
        one.sendall(b"GET / HTTP/1.0\r\n\r\n")
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            page.serve()
