"""What all runs of a study share, made ready for machines that see nothing of this one's disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import numpy
from numpy.typing import NDArray

from secateur.errors import DataError
from secateur.foundation.own_error import words_of
from secateur.study.job import Setup
from secateur.study.local_modules import local_modules
from secateur.study.surroundings import VARIABLE


@dataclass(frozen=True)
class SentSetup:
    """A setup to be sent.

    Attributes:
        pickled: The setup, with its data in memory; its folder is the one where a run works.
        files: By their paths in that folder: the user's modules, and what the settings name.
        environment: The variables that the network reads.
    """

    pickled: NDArray[numpy.uint8]
    files: Mapping[str, bytes]
    environment: Mapping[str, str]


def send(setup: Setup) -> SentSetup:
    """Gather what runs elsewhere need of this machine.

    Raises:
        DataError: The data cannot be pickled.
        UsageError: The user's own modules are too large.
    """
    named = [path for path in (setup.study.base.checkpoint, *setup.contents) if path]
    copies = {path: f"given/{place}{Path(path).suffix}" for place, path in enumerate(named)}
    files = {copies[path]: Path(path).expanduser().read_bytes() for path in named}
    there = replace(setup, folder=Path(), data=setup.load_data(), copies=copies)
    return SentSetup(
        numpy.frombuffer(_pickled(there), numpy.uint8),
        {**local_modules(), **files},
        _variables(setup),
    )


def _pickled(setup: Setup) -> bytes:
    try:
        return bytes(cloudpickle.dumps(setup))
    except Exception as error:  # whatever an object of the user's raises
        raise DataError(
            "sending a study to other machines",
            "its data, or what else was given in Python",
            given=f"not to be pickled ({words_of(error)})",
            expected="objects that pickle takes",
            remedy="Hold tensors instead of open files, locks and connections.",
        ) from None


def _variables(setup: Setup) -> dict[str, str]:
    names: dict[str, Any] = {name: None for parts in setup.expected.values() for name in parts}
    read = [name.removeprefix(VARIABLE) for name in names if name.startswith(VARIABLE)]
    return {name: os.environ[name] for name in read if name in os.environ}
