"""A worker: the process that performs one run and reports through a pipe."""

from __future__ import annotations

import os
import select
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection

import cloudpickle  # type: ignore[import-untyped]

from secateur.errors import SecateurError
from secateur.foundation.own_error import first_line_of, kind_of, text_of
from secateur.study.imported_text import note_imports
from secateur.study.job import Job
from secateur.study.reports import LOST, PipeLostError, ReaderGoneError, Reporter
from secateur.study.run import perform
from secateur.training.device import prepare_process

# How torch on a CPU, C++ and the system word it, as plain errors.
_NO_MEMORY = ("can't allocate memory", "std::bad_alloc", "Cannot allocate memory")
_LONGEST, _DETAILS = 4000, 20_000


def work(
    connection: Connection,
    setup: str | bytes,
    payload: bytes,
    directory: str = "",
    environment: Mapping[str, str] | None = None,
) -> None:
    """Perform the pickled job; send epochs as they end, and the result or the reason of failure.

    It is done where the sweep is, and under its environment as it is now: this process was forked
    from a server that may be older, and has run the user's script anew.

    Args:
        connection: Where to report, as `secateur.study.reports` has it.
        setup: What all jobs of the sweep share, pickled, or the file that holds it.
        payload: The pickled job without it.
        directory: The working folder.
        environment: Instead of this process's own.
    """
    reporter = Reporter(connection.fileno())
    _end_with_reader(connection)
    try:
        _perform(reporter, setup, payload, directory, environment)
    except ReaderGoneError:
        return  # the sweep is gone, and with it whoever wanted the result
    except PipeLostError:
        sys.exit(LOST)
    finally:
        with suppress(OSError):
            connection.close()


def _perform(
    reporter: Reporter,
    setup: str | bytes,
    payload: bytes,
    directory: str,
    environment: Mapping[str, str] | None,
) -> None:
    try:
        _take_over(directory, environment)
        note_imports()
        job: Job = cloudpickle.loads(payload).with_setup(cloudpickle.loads(_read(setup)))
        job.prepare()
        prepare_process(job.threads)
        result = perform(job, lambda epoch: reporter.send("epoch", epoch.to_dict()))
        reporter.send("done", result)
    except (ReaderGoneError, PipeLostError):
        raise
    except BaseException as error:  # also what would end a process, which here ends a run
        reporter.send("failed", reason_of(error), _details(error))


def _read(setup: str | bytes) -> bytes:
    if isinstance(setup, bytes):
        return setup
    with open(setup, "rb") as file:
        return file.read()


def _take_over(directory: str, environment: Mapping[str, str] | None) -> None:
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    if directory:
        os.chdir(directory)
    # Functions of the user's own were named here: an installed command looks here by itself as
    # little as its workers do.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _end_with_reader(connection: Connection) -> None:
    """End this process as soon as nobody reads the pipe: a sweep killed leaves no worker behind."""
    watch = select.poll()
    watch.register(connection.fileno(), 0)  # errors alone, which are always reported

    def wait() -> None:
        if any(event & select.POLLERR for _, event in watch.poll()):
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def reason_of(error: BaseException) -> str:
    """Why a run failed, in one line, whatever the error itself does when it is asked.

    Example:
        >>> reason_of(ValueError("no such layer"))
        'ValueError: no such layer'
        >>> reason_of(SystemExit(0))
        'sys.exit: code of the run ended with code 0 before the run was done'
    """
    if isinstance(error, SecateurError):
        return text_of(error, _LONGEST)
    if isinstance(error, SystemExit):
        code = text_of(error) or "0"
        return f"sys.exit: code of the run ended with code {code} before the run was done"
    if isinstance(error, KeyboardInterrupt):
        return "KeyboardInterrupt: code of the run has raised it (workers hear no Ctrl-C)"
    kind, line = kind_of(error), first_line_of(error, _LONGEST)
    named = isinstance(error, MemoryError) or kind == "OutOfMemoryError"
    if named or any(word in text_of(error) for word in _NO_MEMORY):
        where = line.rstrip(".") or "on the CPU"
        return f"out of memory: {where}. Use a smaller batch size or fewer workers."
    return f"{kind}: {line}"


def _details(error: BaseException) -> str:
    """The traceback, its middle left out where it is long; what can be had of it."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException:  # out of memory, too
        return ""
    if len(text) > _DETAILS:
        text = f"{text[: _DETAILS // 2]}\n…\n{text[-_DETAILS // 2 :]}"
    return text.encode(errors="backslashreplace").decode()
