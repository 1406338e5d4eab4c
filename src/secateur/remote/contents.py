"""The contents of a copy: which files it has, and what their bytes are.

The file that says so is written last. What it does not name does not count, and neither does it
itself unless its own sum fits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.remote.folder import RemoteFolder
from secateur.study.database import FILE as STORE
from secateur.study.decoding import read_json
from secateur.study.folder import POINTS, component
from secateur.study.seal import is_broken, sealed

CONTENTS = "secateur-copy.json"
PAGE, TABLE = "report.html", "points.csv"

_FORMAT = 1
_MOST = 64 << 20
_SUM = re.compile(r"[0-9a-f]{64}")
_ROOT = frozenset((STORE, PAGE, TABLE))


@dataclass(frozen=True)
class Entry:
    """A file of a copy.

    Attributes:
        at: Its name at the address.
        sha256: Of its bytes.
        size: In bytes.
    """

    at: str
    sha256: str
    size: int


def read_contents(remote: RemoteFolder) -> dict[str, Entry]:
    """What a copy has, by the names in a run folder; nothing if there is none yet.

    Raises:
        StoreError: What says so is damaged, or was written by a later version.
    """
    content = remote.read(CONTENTS, _MOST)
    if content is None:
        return {}
    try:
        text = content.decode()
        if is_broken(text):
            raise ValueError("its sum does not fit")
        values = read_json(text)
        if values["format"] != _FORMAT:
            raise ValueError(f"it is of format {values['format']!r:.20}, not {_FORMAT}")
        return {_checked(name): _entry(name, each) for name, each in values["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, StoreError) as error:
        raise StoreError(
            "reading a copy",
            f"{remote.shown}/{CONTENTS}",
            given=f"unusable ({plain(str(error), 200)})",
            expected="the list of files that secateur writes at the end of a copy",
            remedy="Copy to another address, or remove this file: the next copy writes it anew.",
        ) from None


def write_contents(remote: RemoteFolder, files: Mapping[str, Entry]) -> None:
    """Say what a copy has, in place of what was said before."""
    listed = {
        name: {"at": each.at, "sha256": each.sha256, "size": each.size}
        for name, each in sorted(files.items())
    }
    remote.put_bytes(CONTENTS, sealed({"format": _FORMAT, "files": listed}).encode())


def _checked(name: str) -> str:
    """A name of a copy's file in a run folder: no other path comes out of one."""
    if name in _ROOT:
        return name
    folder, _, last = name.partition("/")
    if folder != POINTS or not last.endswith(".safetensors"):
        raise ValueError(f"{name!r:.80} is no file of a run folder")
    return f"{POINTS}/{component(last, 'a file of the copy')}"


def _entry(name: str, values: Any) -> Entry:
    at, found, size = values["at"], values["sha256"], values["size"]
    folder, _, last = str(at).rpartition("/")
    if folder != name.rpartition("/")[0] or not isinstance(at, str):
        raise ValueError(f"{name!r:.80} lies elsewhere")
    component(last, "a file of the copy")
    if not isinstance(found, str) or not _SUM.fullmatch(found) or type(size) is not int or size < 0:
        raise ValueError(f"sum or size of {name!r:.80} is none")
    return Entry(at, found, size)
