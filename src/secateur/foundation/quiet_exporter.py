"""A quiet exporter: torch's exporters, without their notes to their own developers."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY = ("torch.onnx", "torch.fx.experimental.symbolic_shapes", "torch.export")


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Neither warnings nor lines of a log, while something is exported.

    Example:
        >>> with quiet_exporter():
        ...     logging.getLogger("torch.onnx").warning("a note to the developers")
    """
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
