"""A process apart, for what the file of a stranger has a library do: bounded in time and memory.

A library in C++ hears no Ctrl-C, takes what memory it likes, and ends its process when it fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import secateur

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class ApartError(Exception):
    """The process did not end well; the message says how."""


def run_apart(module: str, arguments: Sequence[str], *, seconds: float) -> bytes:
    """What a module of ours writes on standard output, run as a program.

    Args:
        module: Its name. It bounds its memory itself, with `bound_memory`.
        arguments: For it.
        seconds: How long it may take. After that what it had written counts.

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
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        size = size if most == resource.RLIM_INFINITY else min(size, most)
        resource.setrlimit(resource.RLIMIT_AS, (size, most))
    except (ImportError, OSError, ValueError):
        return
