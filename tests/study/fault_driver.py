"""Breaks a writer of a store at each of its writes in turn; run by test_store_faults.py.

    LD_PRELOAD=faults.so python fault_driver.py FOLDER FAULT

A child is forked for each write, breaks there, and another one goes on where it stopped. One line
of JSON a write says what came of it.
"""

import ctypes
import errno
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from secateur.errors import StoreError
from secateur.study import patience
from secateur.study.checkpoint_sum import sum_of
from secateur.study.folder import write_whole
from secateur.study.plan import Run
from secateur.study.recording import recording
from secateur.study.store import Store

FOREVER = 1 << 40
FAULTS = {
    "killed": (-1, 1),
    "torn": (-2, 1),
    "io error once": (errno.EIO, 1),
    "disk full": (errno.ENOSPC, FOREVER),
    "read-only": (errno.EROFS, FOREVER),
}
RUNS = [Run(name * 20, "slim", "m", (), 0, 0, 0, {}, 0, {}) for name in "ab"]
patience.PAUSES = (0.0, 0.0, 0.0)
SHIM = ctypes.CDLL(None)
SHIM.fault_count.restype = ctypes.c_long


def work(folder: Path) -> None:
    """What a sweep writes: the plan, and for each run an attempt, a file and an end."""
    with Store.writing(folder) as store:
        store.begin({"name": "x"}, RUNS)
        for run in RUNS:
            if run.digest not in store.finished():
                attempt = store.record_start(run)
                content = (2).to_bytes(8, "little") + b"{}"
                write_whole(store.checkpoint(run.digest), content)
                store.record_end(attempt, run, "done", "", {"sha256": sum_of(content)})


def child(folder: Path, write: int, times: int, kind: int) -> int:
    """Fork one that works and breaks; its status, and how many writes there were."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    code = 0
    try:
        arm(folder, write, times, kind)
        with recording(folder):
            work(folder)
    except StoreError:
        code = 3
    except Exception as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        code = 4
    finally:
        sys.stderr.flush()
        os._exit(code)


def arm(folder: Path, write: int, times: int, kind: int) -> None:
    SHIM.fault_arm(
        str(folder).encode(), ctypes.c_long(write), ctypes.c_long(times), ctypes.c_int(kind)
    )


def held(folder: Path) -> dict[str, Any]:
    try:
        store = Store(folder)
    except StoreError:
        return {"finished": [], "done": [], "states": []}
    done = [digest for digest, how in store.attempts() if how == "done"]
    states = sorted({verdict.state for verdict in store.verdicts().values()})
    return {"finished": sorted(store.finished()), "done": sorted(done), "states": states}


def main() -> None:
    place, (kind, times) = Path(sys.argv[1]), FAULTS[sys.argv[2]]
    step = int(sys.argv[3])
    arm(place / "all", 0, 0, 0)
    work(place / "all")
    writes = SHIM.fault_count()
    for write in range(1, writes + 1, step):
        folder = place / f"at{write}"
        status = child(folder, write, times, kind)
        broken = held(folder)
        again = child(folder, 0, 0, 0)
        names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        told = {"write": write, "status": status, "broken": broken, "again": again}
        sys.stdout.write(json.dumps({**told, "names": names, **held(folder)}) + "\n")
        sys.stdout.flush()  # before the next fork
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
