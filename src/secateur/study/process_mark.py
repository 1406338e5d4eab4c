"""The mark of a process: by it another one on the same machine sees whether it still lives.

A number of a process is used again, by other processes, other machines and other containers. So the
mark names the machine's boot and the container, too, and when the process was born.
"""

from __future__ import annotations

import os
import platform
import uuid
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_BORN, _STATE = 19, 0  # in /proc/PID/stat, behind the name
_DEAD = ("Z", "X")


@dataclass(frozen=True)
class ProcessMark:
    """What tells a process from all others.

    Attributes:
        host: Names the machine, since when it runs, and the container.
        pid: The process's number there.
        born: When it was started, in the machine's own count; empty where that is not told.
    """

    host: str
    pid: int
    born: str

    @property
    def is_gone(self) -> bool:
        """Whether it certainly lives no more; never of a process elsewhere.

        Example:
            >>> own_mark().is_gone, ProcessMark("elsewhere", 1, "").is_gone
            (False, False)
        """
        if self.host != _host():
            return False
        state, born = _stat(self.pid)
        if self.born and born:
            return born != self.born or state in _DEAD
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # there is one, of another user
            pass
        return False


def own_mark() -> ProcessMark:
    """That of this process."""
    return ProcessMark(_host(), os.getpid(), _stat(os.getpid())[1])


def _host() -> str:
    boot, space = _PROC / "sys/kernel/random/boot_id", _PROC / "self/ns/pid"
    try:
        return f"{platform.node()} {boot.read_text().strip()} {os.readlink(space)}"
    except OSError:
        return f"{platform.node()} {uuid.getnode():x}"


def _stat(pid: int) -> tuple[str, str]:
    """State and birth of a process; both empty if there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()
    return (fields[_STATE], fields[_BORN]) if len(fields) > _BORN else ("", "")
