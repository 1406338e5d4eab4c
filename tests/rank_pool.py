"""Two processes in a gloo group, which stay for the session: tests send them functions by name."""

from __future__ import annotations

import base64
import importlib.util
import pickle
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

RANKS = 2


class RankPool:
    """Runs a function of a test file on both ranks at once; processes start when first needed.

    Args:
        folder: Where the ranks meet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._ranks: list[subprocess.Popen[str]] = []

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """What `function(*arguments)` returns on each rank; it is found by file and name."""
        self._start()
        file = function.__code__.co_filename
        asked = base64.b64encode(pickle.dumps((file, function.__name__, arguments))).decode()
        for process in self._ranks:
            process.stdin.write(f"{asked}\n")
            process.stdin.flush()
        answers = [_answer(process) for process in self._ranks]
        if failed := [text for done, text in answers if not done]:
            self.close()  # the other one may wait for ever
            raise AssertionError("\n".join(map(str, failed)))
        return [value for _, value in answers]

    def _start(self) -> None:
        if self._ranks:
            return
        self._started += 1
        meeting = self._folder / f"ranks-{self._started}"
        self._ranks = [
            subprocess.Popen(
                [sys.executable, __file__, str(meeting), str(rank)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank in range(RANKS)
        ]

    def close(self) -> None:
        """End both."""
        for process in self._ranks:
            process.kill()
        for process in self._ranks:
            with suppress(OSError):
                process.communicate()
        self._ranks = []


def _answer(process: subprocess.Popen[str]) -> tuple[bool, Any]:
    line = process.stdout.readline()
    return pickle.loads(base64.b64decode(line)) if line else (False, "a rank died")


def _serve(meeting: str, rank: int) -> None:
    from torch import distributed, set_num_threads

    set_num_threads(1)
    store = distributed.FileStore(meeting, RANKS)
    wait = timedelta(seconds=60)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=RANKS, timeout=wait)
    answers, sys.stdout = sys.stdout, sys.stderr
    known: dict[str, Any] = {}
    for line in sys.stdin:
        file, name, arguments = pickle.loads(base64.b64decode(line))
        try:
            answer: tuple[bool, Any] = (True, _function(known, file, name)(*arguments))
        except BaseException:
            answer = (False, f"rank {rank}:\n{traceback.format_exc()}")
        answers.write(base64.b64encode(pickle.dumps(answer)).decode() + "\n")
        answers.flush()


def _function(known: dict[str, Any], file: str, name: str) -> Callable[..., Any]:
    if file not in known:
        spec = importlib.util.spec_from_file_location(Path(file).stem, file)
        known[file] = importlib.util.module_from_spec(spec)
        sys.modules[Path(file).stem] = known[file]
        spec.loader.exec_module(known[file])
    return getattr(known[file], name)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
