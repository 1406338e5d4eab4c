"""A worker: the process that performs one run and reports through a pipe."""

from __future__ import annotations

import os
import select
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection

import cloudpickle  # type: ignore[import-untyped]

from secateur.errors import SecateurError
from secateur.study.job import Job
from secateur.study.run import perform
from secateur.training.device import prepare_process

# How torch on a CPU words it, as a plain RuntimeError.
_NO_MEMORY = "can't allocate memory"


def work(
    connection: Connection,
    setup: str,
    payload: bytes,
    directory: str = "",
    environment: Mapping[str, str] | None = None,
) -> None:
    """Perform the pickled job; send epochs as they end, and the result or the reason of failure.

    It is done where the sweep is, and under its environment as it is now: this process was forked
    from a server that may be older, and has run the user's script anew.

    Args:
        connection: Where to report.
        setup: The file that holds what all jobs of the sweep share.
        payload: The pickled job without it.
        directory: The working folder.
        environment: Instead of this process's own.

    Messages are tuples: `("epoch", {...})`, `("done", {...})`, `("failed", reason, details)`.
    """
    _end_with_reader(connection)
    try:
        _take_over(directory, environment)
        job: Job = cloudpickle.loads(payload).with_setup(cloudpickle.loads(_read(setup)))
        job.prepare()
        prepare_process(job.threads)
        result = perform(job, lambda epoch: connection.send(("epoch", epoch.to_dict())))
        connection.send(("done", result))
    except BrokenPipeError:
        return  # the sweep is gone, and with it whoever wanted the result
    except Exception as error:
        connection.send(("failed", reason_of(error), traceback.format_exc()))
    finally:
        connection.close()


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _take_over(directory: str, environment: Mapping[str, str] | None) -> None:
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    if directory:
        os.chdir(directory)


def _end_with_reader(connection: Connection) -> None:
    """End this process as soon as nobody reads the pipe: a sweep killed leaves no worker behind."""
    watch = select.poll()
    watch.register(connection.fileno(), 0)  # errors alone, which are always reported

    def wait() -> None:
        if any(event & select.POLLERR for _, event in watch.poll()):
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def reason_of(error: BaseException) -> str:
    """Why a run failed, in one line.

    Example:
        >>> reason_of(ValueError("no such layer"))
        'ValueError: no such layer'
    """
    if isinstance(error, SecateurError):
        return str(error)
    line = (str(error).splitlines() or [""])[0]
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if named or _NO_MEMORY in str(error):
        where = line.rstrip(".") or "on the CPU"
        return f"out of memory: {where}. Use a smaller batch size or fewer workers."
    return f"{type(error).__name__}: {line}"
