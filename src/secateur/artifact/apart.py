"""A process apart, for what the file of a stranger has a library do: bounded in time and memory.

A library in C++ hears no Ctrl-C, takes what memory it likes, and ends its process when it fails.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import secateur

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class ApartError(Exception):
    """The process did not end well; the message says how."""


def run_apart(module: str, arguments: Sequence[str], *, seconds: float) -> bytes:
    """What a module of ours writes on standard output, run as a program.

    Args:
        module: Its name. It bounds itself, with `bound_memory` and `bound_work`.
        arguments: For it.
        seconds: How long it may take on the clock. After that what it had written counts.

    Raises:
        ApartError: It wrote no line.
    """
    # -P: nothing is imported from the folder that the command is run in.
    command = [sys.executable, "-P", "-m", module, *arguments]
    paths = [str(Path(secateur.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
        written, ended = done.stdout, f"ended with {done.returncode}"
    except subprocess.TimeoutExpired as error:
        written, ended = error.stdout or b"", f"not done after {seconds:.0f} seconds"
    if b"\n" not in written:
        raise ApartError(ended)
    return written


def bound_memory(size: int) -> None:
    """Let this process take no more memory, where the system can see to it.

    Args:
        size: Bytes.
    """
    _bound("RLIMIT_AS", size)


def bound_work(seconds: float) -> None:
    """Let this process compute for so long from now on, where the system can see to it.

    Time in which others have the machine does not count. C++ that does not let go is ended, too.

    Args:
        seconds: Of a processor.
    """
    _bound("RLIMIT_CPU", math.ceil(time.process_time() + seconds))


def _bound(name: str, most: int) -> None:
    try:
        import resource

        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (soft, hard))
    except (ImportError, AttributeError, OSError, ValueError):
        return
