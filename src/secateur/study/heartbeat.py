"""Heartbeat: what a sweep is doing right now, left in its folder for whoever watches.

The store knows what has ended; epochs are told to the sweep's own process alone. So the sweep
leaves a small file, `pulse.json`, replaced as a whole, and holds a lock as long as it lives: a
heartbeat whose lock is free is of a sweep that was killed, and counts for nothing.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from secateur.errors import StoreError
from secateur.foundation.atomic_write import replaced_by
from secateur.study.decoding import read_json
from secateur.study.folder import PARTIAL, check_kind, draft, open_lock
from secateur.study.progress import SweepProgress, Underway

if TYPE_CHECKING:
    from secateur.study.plan import Run

# The names that run folders have had from the beginning.
_FILE = "pulse.json"
# Not the store's lock: a watcher that tries that one could turn a sweep away that begins just then.
_LOCK = ".pulse"
_EVERY = 1.0


class Heartbeat:
    """An observer that writes down what it is told; a context manager.

    It writes once a second at most for each run under way, and whenever one begins or ends. A
    disk that is full or a folder that cannot be locked stops the heartbeat, never the sweep.

    Of several sweeps that share the folder one writes; another one goes on once that has ended.

    Args:
        folder: The run folder.
        every: Seconds between two epochs of a run that are written down.
        shared: Whether others may write one there.
    """

    def __init__(self, folder: Path, every: float = _EVERY, *, shared: bool = False) -> None:
        self._file = folder / _FILE
        self._lock = folder / _LOCK
        self._every = every
        self._sweep = SweepProgress()
        self._written: dict[str, float] = {}
        self._shared = shared
        self._turn = False
        self._held = ExitStack()

    def __enter__(self) -> Heartbeat:
        self._take_turn()
        return self

    def _take_turn(self) -> None:
        """Lock it: alone at once, with others as soon as none of them holds it."""
        self._turn = not self._shared  # whoever is alone writes even what cannot be locked
        with suppress(OSError), ExitStack() as held:
            lock = held.enter_context(os.fdopen(open_lock(self._lock), "a"))
            # A watcher holds it for an instant; of a folder that is not shared no other sweep does.
            fcntl.flock(lock, fcntl.LOCK_EX | (fcntl.LOCK_NB if self._shared else 0))
            self._turn = True
            self._held = held.pop_all()

    def __exit__(self, *_: object) -> None:
        if self._turn:
            with suppress(OSError):
                self._file.unlink(missing_ok=True)
        self._held.close()

    def planned(self, runs: tuple[Run, ...], finished: frozenset[str]) -> None:
        """The sweep begins."""
        self._sweep.planned(runs, finished)
        self._write()

    def started(self, run: Run) -> None:
        """A run begins."""
        self._sweep.started(run)
        self._write()

    def epoch(self, run: Run, values: Mapping[str, float]) -> None:
        """A run has trained another epoch."""
        self._sweep.epoch(run, values)
        now = time.monotonic()
        # By the run: the first epoch after a long one is always written, and nothing waits for
        # a clock of its own.
        if now - self._written.get(run.digest, -math.inf) >= self._every:
            self._written[run.digest] = now
            self._write()

    def ended(self, run: Run, reason: str) -> None:
        """A run has ended."""
        self._sweep.ended(run, reason)
        self._written.pop(run.digest, None)
        self._write()

    def timing(self, nets: int) -> None:
        """The last part begins."""
        self._sweep.timing(nets)
        self._write()

    def _write(self) -> None:
        if not self._turn:
            self._take_turn()
        if not self._turn:
            return
        with suppress(OSError):
            partial = draft(self._file.with_suffix(PARTIAL))
            with replaced_by(partial, self._file, synced=False):  # it is soon old
                text = json.dumps(_values(self._sweep), allow_nan=False)
                partial.write_text(text, encoding="utf-8")


def read_heartbeat(folder: Path) -> dict[str, Any] | None:
    """What the sweep of a folder is doing right now.

    Args:
        folder: A run folder, or where one is going to be.

    Returns:
        None if no sweep runs there. Otherwise `written` (seconds since 1970), `doing`
        (`training` or `timing`), `runs`, `ended`, `failed` (counts), `epochs_trained`,
        `epochs_left`, `seconds_left` (None where nothing tells yet), and `underway`, one entry a
        run: `digest`, `title`, `kind`, `method`, `level`, `seed`, `since`, `epoch`, `epochs`, and
        of the last epoch `loss` and a score such as `val_accuracy` (None before the first, or not
        finite).

    Example:
        >>> read_heartbeat(Path("no/such/folder")) is None
        True
    """
    if not _beats(folder):
        return None
    try:
        check_kind(folder / _FILE)
        values = read_json((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, StoreError):
        return None
    return values if isinstance(values, dict) else None


def _beats(folder: Path) -> bool:
    """Whether a living sweep holds the lock."""
    try:
        check_kind(folder / _LOCK)
        with (folder / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (OSError, StoreError):
        return False
    return False


def _values(progress: SweepProgress) -> dict[str, Any]:
    left = progress.seconds_left()
    return {
        "written": time.time(),
        "doing": "timing" if progress.nets else "training",
        "runs": len(progress.runs),
        "ended": len(progress.reasons),
        "failed": sum(1 for reason in progress.reasons.values() if reason),
        "epochs_trained": progress.trained,
        "epochs_left": progress.left - progress.trained,
        "seconds_left": None if left is None else round(left, 1),
        "underway": [_entry(each) for each in progress.underway.values()],
    }


def _entry(each: Underway) -> dict[str, Any]:
    run = each.run
    return {
        "digest": run.digest,
        "title": run.title,
        "kind": run.kind,
        "method": run.method,
        "level": list(run.level),
        "seed": run.seed,
        "since": each.since,
        "epoch": each.epoch,
        "epochs": run.epochs,
        "loss": None,
        **{name: _finite(value) for name, value in each.values.items()},
    }


def _finite(value: float | None) -> float | None:
    """JSON has no word for the others."""
    return value if value is not None and math.isfinite(value) else None
