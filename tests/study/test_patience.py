import errno
import sqlite3
import time

import pytest

from secateur.study.patience import PAUSES, retried


def failing(*errors: Exception) -> tuple[list[int], object]:
    """What fails with each of these in turn, and how often it was tried."""
    tries: list[int] = []

    def action() -> str:
        tries.append(1)
        if len(tries) <= len(errors):
            raise errors[len(tries) - 1]
        return "done"

    return tries, action


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def test_what_passes_is_tried_again_after_longer_and_longer_pauses(slept: list[float]) -> None:
    tries, action = failing(*[OSError(errno.EIO, "Input/output error")] * 3)
    assert retried(action) == "done"  # type: ignore[arg-type]
    assert len(tries) == 4
    assert slept == list(PAUSES) == sorted(PAUSES)


def test_it_is_given_up_in_the_end(slept: list[float]) -> None:
    tries, action = failing(*[OSError(errno.ESTALE, "Stale file handle")] * 9)
    with pytest.raises(OSError, match="Stale"):
        retried(action)  # type: ignore[arg-type]
    assert len(tries) == 1 + len(slept) == 1 + len(PAUSES)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        BlockingIOError(errno.EAGAIN, "another holds the lock"),
        sqlite3.IntegrityError("a constraint failed"),
    ],
)
def test_what_stays_is_told_at_once(slept: list[float], error: Exception) -> None:
    tries, action = failing(error)
    with pytest.raises(type(error)):
        retried(action)  # type: ignore[arg-type]
    assert (len(tries), slept) == (1, [])
