"""Imported text: the bytes of a module's file as they were when this process imported it.

A file may be edited between its import and the moment when it is looked at, and compiled code can
look younger than its text. So a worker compiles the user's own modules from their text, and notes
the digest of that very text.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from secateur.foundation.own_file import is_own_file

IMPORTED: dict[str, str] = {}
"""Module -> SHA-256, in hex, of the text that it was made of."""


class _Loader(SourceFileLoader):
    """Compiles a module's text, which it notes, whatever was compiled before."""

    def get_code(self, fullname: str) -> CodeType | None:
        text = self.get_data(self.path)
        IMPORTED[fullname] = hashlib.sha256(text).hexdigest()
        code: CodeType = self.source_to_code(text, self.path)
        return code


class _Finder:
    """Finds what Python's own finder does; a module of the user's own is loaded from its text."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return spec
        if is_own_file(spec.loader.path):
            spec.loader = _Loader(fullname, spec.loader.path)
        return spec


def note_imports() -> None:
    """From now on, note the text of every module of the user's own that this process imports."""
    if _Finder not in sys.meta_path:
        place = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0
        sys.meta_path.insert(place, _Finder)
