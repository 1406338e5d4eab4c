"""Sources: the text of the user's own modules that the runs of a study are made by.

The plan names its runs by that text. A file that is edited while the sweep runs would make points
of two texts under one name: so every worker compares what it has imported with what the sweep's
process had, before it trains and before it writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from secateur.errors import ModelError
from secateur.study.module_text import FILE, Parts, own_files, text_digest


def sources_of(
    expected: Mapping[int, Parts],
    registered: Mapping[str, Mapping[str, Any]],
    handed: Iterable[object],
) -> dict[str, str]:
    """Module -> SHA-256, in hex, of its text, of each that a run of a study may import.

    To be called when the net has been built and tried: what its `forward` imports is there by then.

    Args:
        expected: What the nets are made of, by seed.
        registered: By kind, what was added to the registries of this process.
        handed: What else runs call: a builder, a task, functions.
    """
    parts = {name for found in expected.values() for name in found}
    named = {name.removeprefix(FILE) for name in parts if name.startswith(FILE)}
    entries = [pair for added in registered.values() for pair in added.items()]
    opened = {name.partition(":")[0] for name, _ in entries if ":" in name}
    called = {_module_of(one) for one in (*handed, *(entry for _, entry in entries))}
    return own_files({*named, *opened, *called} - {""})


def _module_of(entry: object) -> str:
    return str(getattr(entry, "__module__", None) or type(entry).__module__)


def check_sources(sources: Mapping[str, str]) -> None:
    """Compare the modules that this process has imported with those of the sweep's process.

    Raises:
        ModelError: One was made of another text.
    """
    for name, digest in sources.items():
        if text_digest(name) not in (None, digest):
            raise ModelError(
                "performing a run",
                f"the file of {name}",
                given="not as it was when the sweep began",
                expected="the text that the run is named by",
                remedy="Leave it alone while a sweep runs, and give the command again: changed "
                "code gets new runs.",
            )
