"""Claims on a shared folder: each run is one sweep's, and what a late one reports is refused."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import StoreError
from secateur.point import Point
from secateur.study import drivers
from secateur.study.plan import Run
from secateur.study.shared_claims import SharedClaims
from secateur.study.store import Store

from .inline import Notes, sweep

HERE = Path(__file__).parent


def run(name: str, **parents: Run) -> Run:
    digests = {role: parent.digest for role, parent in parents.items()}
    return Run(name * 20, "slim", name, (), 0, 0, 0, digests, 0, {})


A = run("a")
B, C = run("b", base=A), run("c")
RUNS = (A, B, C)


class Sweep:
    """What a sweep does with its claims, by hand."""

    def __init__(self, folder: Path, held: ExitStack) -> None:
        self.store = held.enter_context(Store.writing(folder, shared=True))
        self.claims = held.enter_context(SharedClaims(self.store))
        self.joined: list[bool] = []

    def join(self, runs: Sequence[Run] = RUNS) -> None:
        def begin(others: bool) -> None:
            self.joined.append(others)
            self.store.begin({"name": "x"}, runs)

        self.claims.join([one.digest for one in runs], begin)

    def perform(self, one: Run, content: str) -> Callable[[], bool]:
        """Begin a claimed run and write its file; what is returned ends it."""
        attempt = self.claims.begin(one)
        (self.store.folder / self.claims.draft(one)).write_text(content)
        return lambda: self.claims.end(attempt, one, "done", "", {"sha256": content * 64})

    def file(self, one: Run) -> str:
        return self.store.checkpoint(one.digest).read_text()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Sweep]]:
    with ExitStack() as held:
        yield lambda: Sweep(tmp_path / "run", held)


@pytest.fixture
def two(make: Callable[[], Sweep]) -> tuple[Sweep, Sweep]:
    one, other = make(), make()
    one.join()
    other.join()
    assert (one.joined, other.joined) == ([False], [True])
    return one, other


def bury(by: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(drivers, "SILENCE", 0.0)
        by.claims.news(now=True)


def test_a_chain_is_claimed_by_one_and_what_has_ended_is_heard_before_it_is_done_again(
    two: tuple[Sweep, Sweep],
) -> None:
    one, other = two
    assert one.claims.claim([A, B])
    assert not other.claims.claim([A])
    assert not other.claims.claim([C, B])
    assert other.claims.news(now=True).held == {A.digest, B.digest}
    assert one.claims.news(now=True).held == set()
    assert one.perform(A, "1")()
    assert not other.claims.claim([A])  # it has ended, and this one has not heard of it
    news = other.claims.news(now=True)
    assert [(end.digest, end.status, end.sha256) for end in news.endings] == [
        (A.digest, "done", "1" * 64)
    ]
    assert news.held == {B.digest}
    assert other.claims.news(now=True).endings == []
    assert other.claims.claim([A])  # for the sweep that finds its file damaged


def test_news_are_looked_up_now_and_then(two: tuple[Sweep, Sweep], clock: list[float]) -> None:
    one, other = two
    clock[0] += 1
    assert other.claims.news().held == set()
    one.claims.claim([A])
    assert other.claims.news().held == set()
    clock[0] += 1
    assert other.claims.news().held == {A.digest}


def test_what_a_late_one_reports_is_refused_and_replaces_no_file(
    two: tuple[Sweep, Sweep], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    late, other = two
    late.claims.claim([A])
    end = late.perform(A, "1")
    bury(other, monkeypatch)
    assert other.claims.claim([A])
    taken_over = other.perform(A, "2")
    (late.store.folder / late.claims.draft(A)).write_text("1")  # its worker still lives
    assert not end()
    assert "has taken 'a seed 0' over" in caplog.text
    assert taken_over()
    assert other.file(A) == "2"
    assert other.store.sum(A.digest) == "2" * 64
    assert [how for _, how in other.store.attempts()] == [None, "done"]
    # It goes on, under another name, with what is left.
    assert not late.claims.claim([A])
    assert [one.digest for one in late.claims.news(now=True).endings] == [A.digest]
    assert late.claims.claim([C])
    assert late.perform(C, "3")()
    assert [path.name for path in late.store.folder.rglob("*.partial")] == []


def test_a_late_one_begins_no_run_of_its_lost_chain(
    two: tuple[Sweep, Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    late, other = two
    late.claims.claim([A, B])
    bury(other, monkeypatch)
    assert late.claims.begin(B) == 0
    assert late.store.attempts() == ()


def test_what_depends_on_a_failed_run_is_noted_once(two: tuple[Sweep, Sweep]) -> None:
    one, other = two
    one.claims.claim([A, B])
    assert one.claims.end(one.claims.begin(A), A, "failed", "why")
    other.claims.news(now=True)
    other.claims.skip(B, "not run")  # the one that claimed it will say so
    assert one.store.attempts() == ((A.digest, "failed"),)
    one.claims.skip(B, "not run")
    assert [end.digest for end in other.claims.news(now=True).endings] == [B.digest]
    other.claims.skip(B, "not run")
    assert one.store.attempts() == ((A.digest, "failed"), (B.digest, "failed"))
    other.claims.skip(C, "not run")  # its own finding, of what nobody has
    assert len(one.store.attempts()) == 3


def test_leaving_gives_everything_back(tmp_path: Path, make: Callable[[], Sweep]) -> None:
    other = make()
    other.join()
    with ExitStack() as held:
        one = Sweep(tmp_path / "run", held)
        one.join()
        one.claims.claim([A])
        assert not other.claims.claim([A])
    assert other.claims.claim([A])


def test_another_plan_is_refused_while_a_sweep_of_this_one_lives_and_taken_once_it_is_dead(
    make: Callable[[], Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make(), make()
    one.join()
    monkeypatch.setattr(drivers, "BEAT", 0.0)
    monkeypatch.setattr(drivers, "SILENCE", -1.0)
    monkeypatch.setattr(other.claims._drivers, "observe", lambda: None)
    with pytest.raises(StoreError, match=r"shared by sweeps of another plan.*same command"):
        other.join(RUNS[:2])
    monkeypatch.undo()
    one.claims.__exit__()
    other.join(RUNS[:2])
    assert other.joined == [False]
    assert len(other.store.plan()) == 2


def test_one_at_a_time_does_what_is_done_once(
    two: tuple[Sweep, Sweep], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    told = []

    def pause() -> None:
        told.append("waits")
        turn.close()

    monkeypatch.setattr(other.claims, "pause", pause)
    with ExitStack() as turn:
        turn.enter_context(one.claims.alone("timing"))
        with other.claims.alone("timing"):
            told.append("its turn")
    assert told == ["waits", "its turn"]


class Stopped(Notes):
    """An observer that ends its sweep, as Ctrl-C does, in the middle of a run."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def started(self, run: Run) -> None:
        if len(self.ends) == self.after:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("_inline")
def test_a_sweep_goes_on_with_what_one_beside_it_has_done(tmp_path: Path, swept: Path) -> None:
    class Beside(Notes):
        def started(self, run: Run) -> None:
            if len(self.ends) == 1:
                with pytest.raises(KeyboardInterrupt):
                    sweep(tmp_path / "run", beside, shared=True)

    beside, notes = Stopped(1), Beside()
    sweep(tmp_path / "run", notes, shared=True)
    assert beside.finished == {digest for digest, _ in Store(tmp_path / "run").attempts()[:1]}
    store = Store(tmp_path / "run")
    done = [digest for digest, how in store.attempts() if how == "done"]
    assert len(done) == len(set(done)) == 5
    assert len(beside.ends) == 1
    assert len(notes.ends) == 5  # told of what the other did, too
    assert [point.digest for point in store.points()] == [
        point.digest for point in Store(swept).points()
    ]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".lock", ".pulse", "points", "study.sqlite",
    ]  # fmt: skip
    assert store.rows("SELECT name FROM sqlite_master WHERE name = 'drivers'") == []


def values(store: Store) -> list[Point]:
    """What was measured, without times, and without names that depend on who imported the net."""
    return [
        replace(point, digest="", checkpoint="", seconds=0, training_seconds=0)
        for point in store.points()
    ]


@pytest.mark.usefixtures("_inline")
def test_two_processes_one_of_them_killed_do_each_run_once_and_end_with_the_whole_table(
    tmp_path: Path,
) -> None:
    changes: dict[str, Any] = {"levels": [0.2, 0.4, 0.6], "seeds": 2}
    command = [sys.executable, str(HERE / "shared_driver.py"), str(tmp_path / "run")]
    drive = [*command, json.dumps(changes)]
    with ExitStack() as held:
        two = [
            held.enter_context(subprocess.Popen(drive, stdout=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        held.callback(two[1].kill)
        victim = two[0]
        assert victim.stdout is not None
        for _ in range(3):  # in the middle of its third run
            victim.stdout.readline()
        os.kill(victim.pid, signal.SIGKILL)
        two[1].communicate()
    # On a busy machine the other one may have left it nothing to do.
    assert two[0].returncode in (-signal.SIGKILL, 0)
    assert two[1].returncode == 0
    store = Store(tmp_path / "run")
    done = [digest for digest, how in store.attempts() if how == "done"]
    assert Counter(done) == Counter(store.plan())
    assert {verdict.state for verdict in store.verdicts().values()} == {"sound"}
    assert [path.name for path in store.folder.rglob("*.partial")] == []
    sweep(tmp_path / "alone", **changes)
    assert values(store) == values(Store(tmp_path / "alone"))
