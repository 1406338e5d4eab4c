"""Surroundings: what a network reads when it is called that stands neither in it nor in its text.

That is environment variables, files of data, and the installed packages of its layers.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from types import CodeType

from torch import nn

from secateur.study.content import Contents, constants_of, names_of

PACKAGE, VARIABLE, READ = "the package ", "the environment variable ", "the file read "
"""How the parts begin that are named here."""

_ENVIRONMENT = {"environ", "environb", "getenv"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 255
# What another version of them changes in a network is seen in the network, or is rounding.
_TAKEN_AS_THEY_ARE = {"torch", "numpy", "secateur"}


def surroundings(net: nn.Module, contents: Contents) -> dict[str, str]:
    """What a network reads from outside, by name, as digests.

    Args:
        net: The network.
        contents: What has digested its builder and the classes of its layers.
    """
    packages = _packages(installed_modules(contents))
    return {**_variables(contents), **files_read(net), **packages}


def files_read(net: nn.Module) -> dict[str, str]:
    """The files that are named by the layers' code, by what they hold, or by globals they read.

    What the builder reads is not among them: it is in the network.
    """
    forward = Contents()
    for kind in {type(module) for module in net.modules()}:
        forward.of(kind)
    held = [value for module in net.modules() for value in vars(module).values()]
    paths = {*_paths(forward.codes), *_as_paths([*held, *forward.globals.values()], "")}
    found: dict[str, str] = {}
    for path in sorted(paths):
        if content := _content(path):
            found[READ + path.name] = found.get(READ + path.name, "") + content
    return found


def installed_modules(contents: Contents) -> set[str]:
    """The modules of installed packages that were met, but for those of torch and NumPy."""
    return {name for name in contents.installed if name.partition(".")[0] not in _TAKEN_AS_THEY_ARE}


def _variables(contents: Contents) -> dict[str, str]:
    """The variables named by functions that look at the environment."""
    looking = [code for code in contents.codes if _ENVIRONMENT & set(names_of(code))]
    words = {word for code in looking for word in constants_of(code)}
    if looking:
        words |= {value for value in contents.globals.values() if isinstance(value, str)}
    return {
        VARIABLE + word: hashlib.sha256(os.fsencode(os.environ[word])).hexdigest()
        for word in words
        if isinstance(word, str) and _NAME.fullmatch(word) and word in os.environ
    }


def _paths(codes: Iterable[CodeType]) -> Iterator[Path]:
    """What may be a file's name in code: where the command is given, or beside the code."""
    for code in codes:
        words = list(constants_of(code))
        yield from _as_paths(words, "")
        yield from _as_paths(words, str(Path(code.co_filename).parent))


def _as_paths(values: Iterable[object], folder: str) -> Iterator[Path]:
    for value in values:
        if isinstance(value, str | PurePath) and 0 < len(str(value)) <= _LONGEST:
            yield Path(folder, str(value))


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except (OSError, ValueError):  # no name that a file can have, or not readable
        return ""


def _packages(modules: Iterable[str]) -> dict[str, str]:
    """Version and code of the packages that modules come from, as they were installed."""
    tops = {name.partition(".")[0] for name in modules}
    if not tops:
        return {}
    known = importlib.metadata.packages_distributions()
    names = {name for top in tops for name in known.get(top, ())}
    return {PACKAGE + name: _package(importlib.metadata.distribution(name)) for name in names}


def _package(distribution: importlib.metadata.Distribution) -> str:
    files = sorted(
        f"{file} {file.hash.value}"
        for file in distribution.files or ()
        if file.hash is not None and file.suffix in (".py", ".so", ".pyd")
    )
    return hashlib.sha256("\n".join([distribution.version, *files]).encode()).hexdigest()
