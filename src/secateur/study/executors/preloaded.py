"""Preloaded: what the runs of a study import, imported once by the server that forks them.

A library of metrics or of networks takes seconds to import, and each run is a process of its own.
The server imports this module, and with it whatever the sweep has named when it started the server.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module

_VARIABLE = "SECATEUR_PRELOAD"


@contextmanager
def preloading(modules: Iterable[str]) -> Iterator[None]:
    """A server that is started meanwhile imports these modules; one that runs already does not.

    Args:
        modules: By name, of installed packages.

    Example:
        >>> with preloading(["torch.nn"]):
        ...     os.environ["SECATEUR_PRELOAD"]
        'torch.nn'
        >>> "SECATEUR_PRELOAD" in os.environ
        False
    """
    os.environ[_VARIABLE] = " ".join(modules)
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)


for _name in os.environ.get(_VARIABLE, "").split():
    with suppress(Exception):  # the run that needs it tries again, and says what is wrong
        import_module(_name)
