"""Memory: by how much one call raises that of the process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def working_memory(call: Callable[[], object]) -> int | None:
    """How far a call raises the process's resident memory above what it was before.

    The call runs twice: what is set up once is no part of the figure. What an engine keeps for
    its next pass is none either.

    Args:
        call: What to run.

    Returns:
        Bytes, to the page; None where the system does not tell (it does on Linux).

    Example:
        >>> grown = working_memory(lambda: b"." * (1 << 26))
        >>> grown is None or grown >= 1 << 25
        True
    """
    call()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        before = _read("VmRSS")
        _CLEAR.write_text(_RESET_PEAK, encoding="ascii")
    except (OSError, AttributeError):
        return None
    call()
    return max(0, _read("VmHWM") - before)


def _read(field: str) -> int:
    for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"no {field} in {_STATUS}")
