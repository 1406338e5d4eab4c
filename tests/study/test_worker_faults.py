"""Workers that hang, die, run out of something or meet user code that acts up: real processes."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import ModelError, UsageError
from secateur.study.executors import local
from secateur.study.executors.local import LocalExecutor
from secateur.study.executors.protocol import Event
from secateur.study.plan import Run
from secateur.study.store import Store

from .faulty_net import ACTS
from .faulty_study import TEXT, done_once, seed_of, sweep
from .inline import Notes

REASONS = {
    "raise": "ValueError: a bug of the user's own",
    "exit 0": "sys.exit: code of the run ended with code 0 before the run was done",
    "exit hard": "the worker ended with code 0 before the run was done",
    "interrupt": "KeyboardInterrupt: code of the run has raised it",
    "mute": "Mute: (its text cannot be had)",
    "long": "ValueError: xxx",
    "unprintable": r"ValueError: a half \ud800 and ",
    "broken pipe": "BrokenPipeError: [Errno 32] of the user's own",
    "close files": "has lost the pipe by which it reports: code of the run has closed file",
    "no memory": "out of memory: on the CPU",
    "no memory in torch": "out of memory: ",
    "no room": "writing a file of a run: ",
    "kill": "the worker was killed (SIGKILL), most often because memory ran out",
    "terminate": "the worker died of SIGTERM",
    "die before its child": "the worker was killed (SIGKILL)",
    "hang": "given up after 3600 seconds (--timeout): it had not ended, and was killed",
    "hold": "given up after 3600 seconds (--timeout): it had not ended, and was killed",
    "nan": "the loss is not finite by step",
}


class Impatient(LocalExecutor):
    """Gives up what hangs as soon as it does, whatever the timeout: no test waits for a clock."""

    def events(self, timeout: float = 0.2) -> Iterator[Event]:
        for one in self._processes._running:
            if Path(f"hangs-{one.process.pid}").exists():
                assert one.timeout == 3600
                one.deadline = time.monotonic()
        return super().events(timeout)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(true: Any, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def outcomes(folder: Path) -> Counter[str | None]:
    return Counter(how for _, how in Store(folder).attempts())


@dataclass(frozen=True)
class Faulty:
    folder: Path
    ends: dict[str, str]
    children: tuple[int, ...]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    """A study of which every seed but the first meets another fault, swept once."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty.py").write_text(TEXT)
    acts = {seed_of(1 + place, 0): act for place, act in enumerate(REASONS)}
    (folder / "acts.json").write_text(json.dumps(acts))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        settings = {"seeds": 1 + len(REASONS)}
        ends = dict(sweep(folder / "run", settings=settings, executor=Impatient, timeout=3600).ends)
        (folder / "acts.json").unlink()
        children = tuple(int(path.read_text()) for path in folder.glob("child-*"))
        yield Faulty(folder, ends, children)
        sys.modules.pop("faulty", None)


def test_every_act_has_its_reason() -> None:
    assert set(REASONS) == {*ACTS, "nan"}


@pytest.mark.parametrize("act", REASONS)
def test_a_run_that_fails_is_told_by_name(faulty: Faulty, act: str) -> None:
    seed = 1 + list(REASONS).index(act)
    reason = faulty.ends[f"dense base seed {seed}"]
    assert REASONS[act] in reason
    assert "\n" not in reason
    assert len(reason) < 5000
    assert faulty.ends[f"magnitude 0.3 seed {seed}"].startswith("not run: dense base seed")


def test_the_others_go_on_and_nothing_is_left(faulty: Faulty) -> None:
    assert faulty.ends["dense base seed 0"] == faulty.ends["magnitude 0.3 seed 0"] == ""
    assert len(faulty.children) == 2
    assert all(map(is_gone, faulty.children))
    assert list(faulty.folder.glob("run/**/*.partial")) == []


def test_the_next_sweep_makes_up_for_it(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(faulty.folder)
    seeds = [0, *(1 + list(REASONS).index(act) for act in ("no room", "hold"))]
    ends = sweep(faulty.folder / "run", settings={"seeds": seeds}).ends
    assert [reason for _, reason in ends] == [""] * 4
    store = Store(faulty.folder / "run")
    assert store.failures() == ()
    assert len(store.points()) == done_once(faulty.folder / "run") == 6


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_server_that_forks_workers_is_lost(study: Path, sent: signal.Signals) -> None:
    """Runs under way go on without it, and those that follow get another one."""
    from multiprocessing import forkserver

    class Sending(Notes):
        def epoch(self, run: Run, values: Mapping[str, float]) -> None:
            if not self.ends:
                pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
                os.kill(pid, sent)
                if sent != signal.SIGINT:  # to which it is deaf
                    wait_until(lambda: is_gone(pid))

    assert [reason for _, reason in sweep(study / "run", Sending(), workers=1).ends] == ["", ""]
    assert done_once(study / "run") == 2


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_gets_a_signal(study: Path, sent: signal.Signals) -> None:
    """Ctrl-C is the sweep's to hear; SIGTERM is told, and the next sweep goes on."""

    class Sending(LocalExecutor):
        def events(self, timeout: float = 0.2) -> Iterator[Event]:
            for one in self._processes._running:
                if Path(f"hangs-{one.process.pid}").exists():
                    os.kill(one.process.pid, sent)
                    (study / "acts.json").unlink(missing_ok=True)
                    Path(f"hangs-{one.process.pid}").unlink()
                    if sent == signal.SIGINT:
                        one.deadline = time.monotonic()
            return super().events(timeout)

    (study / "acts.json").write_text(json.dumps({seed_of(0, 1): "hang"}))
    ends = dict(sweep(study / "run", executor=Sending, timeout=3600).ends)
    told = {signal.SIGINT: "given up", signal.SIGTERM: "the worker died of SIGTERM"}
    assert ends["dense base seed 0"] == ""
    assert told[sent] in ends["magnitude 0.3 seed 0"]
    assert sweep(study / "run").ends == [("magnitude 0.3 seed 0", "")]
    assert done_once(study / "run") == 2


def test_the_sweep_gets_ctrl_c_while_workers_run(study: Path) -> None:
    class Stopping(Notes):
        def started(self, run: Run) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        sweep(study / "run", Stopping())
    assert outcomes(study / "run") == Counter({None: 1})
    assert len(sweep(study / "run").ends) == done_once(study / "run") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys\nsys.exit(0)\n", "ending the process (SystemExit: 0)"),
        ("raise ValueError('no such layer')\n", "no such layer"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E\n", "its text cannot be had"),
        ("raise ValueError(50_000_000 * 'x')\n", "xxx…"),
    ],
)
@pytest.mark.parametrize("where", ["import", "build", "forward"])
def test_what_raises_before_training_is_told(
    study: Path, text: str, words: str, where: str
) -> None:
    acting = "\n".join(("def acting():", *(f"    {line}" for line in text.splitlines()), ""))
    places = {"build": "    return Net(", "forward": "        if self.training"}
    if where == "import":
        body = f"{acting}\nacting()\n"
    else:
        indent = " " * (len(places[where]) - len(places[where].lstrip()))
        body = TEXT.replace(places[where], f"{indent}acting()\n{places[where]}") + acting
    (study / "faulty.py").write_text(body)
    with pytest.raises((ModelError, UsageError)) as caught:
        sweep(study / "run")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 10_000
    assert not (study / "run").exists()


def test_a_full_temporary_folder_costs_nothing(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all runs share is sent with each, and the size of a file is known without writing it."""

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("mkdtemp", "mkstemp"):
        monkeypatch.setattr(tempfile, name, full)
    monkeypatch.setattr(local, "mkdtemp", full)
    sweep(study / "run")
    monkeypatch.undo()
    sizes = [point.artifact_bytes for point in Store(study / "run").points()]
    assert len(sizes) == 2
    assert None not in sizes


def test_many_runs_leave_nothing_behind(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = study / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    sweep(study / "first")
    before = len(os.listdir("/proc/self/fd")), _children()
    sweep(study / "run", settings={"seeds": 6})
    assert (len(os.listdir("/proc/self/fd")), _children()) == before
    assert list(temporary.iterdir()) == []
    assert done_once(study / "run") == 12


def _children() -> set[str]:
    """What this process, and the server that it forks workers from, have started."""
    found, waiting = set(), [str(os.getpid())]
    while waiting:
        folder = Path("/proc") / waiting.pop() / "task"
        waiting += [pid for path in folder.glob("*/children") for pid in path.read_text().split()]
        found |= set(waiting)
    return {pid for pid in found if not is_gone(int(pid))}
