"""Own code: what the user's own code does in the sweep's process ends in a word, never in silence.

A builder, a data set or a loop is called before anything is trained. There it may raise anything,
and `sys.exit(0)` in it would end the command as if all had gone well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from secateur.errors import ModelError, SecateurError
from secateur.foundation.own_error import place_of, words_of

_KEPT = (SecateurError, KeyboardInterrupt, GeneratorExit)


@contextmanager
def own_code(operation: str) -> Iterator[None]:
    """Raise whatever code of the user's own raises in the block as an error of ours.

    Errors that passed no such code are passed on: they are ours to mend.

    Args:
        operation: What is being done, for messages.

    Raises:
        ModelError: Code of the user's own raised something, would have ended the process, or has
            closed files that it had not opened: the store's would be next.

    Example:
        >>> with own_code("preparing a study"):
        ...     raise SystemExit(0)
        Traceback (most recent call last):
        ...
        secateur.errors.ModelError: preparing a study: the model, the data or the loop \
(<doctest secateur.study.own_code.own_code[0]>, line 2) is ending the process (SystemExit: 0), \
expected to return. Take `sys.exit` out of it; nothing is lost, and the same command goes on.
    """
    watched = os.pipe()
    mark = os.fstat(watched[0]).st_ino
    try:
        yield
        _check_open(operation, watched[0], mark)
    except _KEPT:
        raise
    except BaseException as error:
        ends = isinstance(error, SystemExit)
        place = place_of(error)
        if not ends and not place:
            raise
        did = "ending the process" if ends else "failing"
        remedy = "Take `sys.exit` out of it" if ends else "Mend it"
        raise ModelError(
            operation,
            f"the model, the data or the loop{f' ({place})' if place else ''}",
            given=f"{did} ({words_of(error)})",
            expected="to return",
            remedy=f"{remedy}; nothing is lost, and the same command goes on.",
        ) from error
    finally:
        for end in watched:
            if _inode(end) == mark:
                os.close(end)


def _check_open(operation: str, descriptor: int, mark: int) -> None:
    if _inode(descriptor) != mark:
        raise ModelError(
            operation,
            "the model, the data or the loop",
            given="closing file descriptors that it has not opened",
            expected="to close its own",
            remedy="Take `os.closerange`, or a wrong number in `os.close`, out of it.",
        )


def _inode(descriptor: int) -> int:
    with suppress(OSError):
        return os.fstat(descriptor).st_ino
    return -1
