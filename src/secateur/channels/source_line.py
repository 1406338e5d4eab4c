"""Source line: the line of the user's code from which torch was called."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import torch

LIBRARIES = tuple(str(Path(one).parent) for one in (torch.__file__, Path(__file__).parent))


def line_of(failure: BaseException) -> str:
    """File and line of the innermost frame of a failure that is neither torch nor secateur."""
    found, trace = "", failure.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith((*LIBRARIES, "<")):
            found = f"{Path(name).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def calling_line() -> str:
    """File and line of the nearest caller that is neither torch nor secateur.

    Returns:
        As in `net.py:12`; empty if there is none.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((*LIBRARIES, "<")):
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
