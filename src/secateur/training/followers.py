"""Followers: the processes that train along with this one, which is the first rank.

Each is a fresh interpreter that is sent the whole training once and then does the same steps on its
own share of every batch. It ends with this process, says why if it fails, and writes nothing.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from tempfile import mkdtemp
from types import TracebackType
from typing import Any, Self

from secateur.errors import SecateurError, TrainingError
from secateur.foundation.threads import sleeping_threads
from secateur.training.rank_group import OPERATION

_BEGIN = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from secateur.training.follow import main; main(sys.argv[2], int(sys.argv[3]))"
)
_LOST = ("connection closed", "connection reset", "gloo", "nccl", "timed out", "timeout", "socket")
_STARTING = 300.0
_ENDING = 20.0
_GRACE = 5.0


class Followers:
    """Followers of this process; a context manager that leaves none behind.

    Args:
        payload: The pickled training, as `secateur.training.follow` reads it.
        world: How many processes train in all.

    Raises:
        TrainingError: One fails, dies or is silent for too long; an error of its own is raised as
            it was.
    """

    def __init__(self, payload: bytes, world: int) -> None:
        self._payload = payload
        self._world = world
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._said: dict[int, SecateurError | str] = {}

    def __enter__(self) -> Self:
        self.folder = Path(mkdtemp(prefix="secateur-ranks-"))
        try:
            (self.folder / "payload").write_bytes(self._payload)
            self._payload = b""
            for rank in range(1, self._world):
                self._processes[rank] = self._start(rank)
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    @property
    def place(self) -> Path:
        """The file by which all meet."""
        return self.folder / "meeting"

    def _start(self, rank: int) -> subprocess.Popen[bytes]:
        paths = json.dumps([os.path.abspath(path) for path in sys.path])
        with (self.folder / f"rank-{rank}").open("wb") as said, sleeping_threads():
            return subprocess.Popen(
                [sys.executable, "-c", _BEGIN, paths, str(self.folder), str(rank)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,  # Ctrl-C is for the first rank, which ends the others
            )

    def _wait_until_ready(self) -> None:
        """All have what they need: from now on nobody waits for an interpreter."""
        deadline = time.monotonic() + _STARTING
        waiting = set(self._processes)
        with DefaultSelector() as selector:
            for rank, process in self._processes.items():
                selector.register(process.stdout, EVENT_READ, rank)  # type: ignore[arg-type]
            while waiting:
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise _broken(min(waiting), f"not ready after {_STARTING:g} s")
                for key, _ in ready:
                    rank = key.data
                    if not self._hear(rank):
                        raise self._reason(rank)
                    waiting.discard(rank)
                    selector.unregister(key.fileobj)

    def _hear(self, rank: int) -> bool:
        """Read a follower's next word; whether it is that it is ready."""
        stream = self._processes[rank].stdout
        line = stream.readline() if stream is not None else b""
        if not line:
            return False
        word = json.loads(line)
        if "error" in word:
            # Of a process that this one has started, and that runs the same code.
            error = pickle.loads(b64decode(word["error"])) if word["error"] else None
            self._said[rank] = error or str(word["reason"])
        return "ready" in word

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._see_to_the_end()
            elif isinstance(error, RuntimeError) and _is_of_the_group(str(error)):
                self._blame(error)
        finally:
            self._end()

    def _see_to_the_end(self) -> None:
        deadline = time.monotonic() + _ENDING
        for rank, process in self._processes.items():
            try:
                code = process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue  # all is trained: a thread of the user's code holds it up
            if code:
                self._hear(rank)
                raise self._reason(rank)

    def _blame(self, error: Exception) -> None:
        """Say which follower has failed, if one has: this rank only saw that it was gone."""
        deadline, reasons = time.monotonic() + _GRACE, dict[int, SecateurError]()
        while time.monotonic() < deadline and len(reasons) < len(self._processes):
            for rank, process in self._processes.items():
                if rank not in reasons and process.poll() is not None:
                    self._hear(rank)
                    reasons[rank] = self._reason(rank)
                    # One that lost the group is no culprit: another one broke it.
                    if not _is_of_the_group(reasons[rank].given):
                        raise reasons[rank] from error
            time.sleep(0.05)
        silent = [rank for rank in self._processes if rank not in reasons]
        if silent:
            raise _broken(silent[0], "silent for too long") from error
        raise reasons[min(reasons)] from error

    def _reason(self, rank: int) -> SecateurError:
        said = self._said.get(rank)
        if isinstance(said, SecateurError):
            return said
        if said:
            return _broken(rank, f"stopped by {said}")
        code = self._processes[rank].wait()
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return _broken(rank, how + self._last_words(rank))

    def _last_words(self, rank: int) -> str:
        lines = (self.folder / f"rank-{rank}").read_text(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({last:.200})" if last else ""

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _is_of_the_group(text: str) -> bool:
    """Whether an error says that another rank does not answer."""
    return any(word in text.lower() for word in _LOST)


def _broken(rank: int, given: str) -> TrainingError:
    return TrainingError(
        OPERATION,
        f"rank {rank}",
        given=given,
        expected="a process that goes on to the end",
        remedy="Look whether memory ran out, use fewer devices or a smaller batch size, and train "
        "again.",
    )


def pickled(training: Any) -> bytes:
    """A training as it is sent to followers.

    Raises:
        TrainingError: Something in it cannot be pickled.
    """
    import cloudpickle  # type: ignore[import-untyped]

    try:
        found: bytes = cloudpickle.dumps(training)
    except Exception as error:  # of whatever the network or the data are made of
        raise TrainingError(
            OPERATION,
            "the training",
            given=f"something that cannot be sent to other processes ({error!s:.200})",
            expected="a network, data, a task and a penalty that can be pickled",
            remedy="Start a script with torchrun that builds them on every rank and calls "
            "secateur.fit, or train on one device.",
        ) from error
    return found
