"""Surroundings: what a network reads when it is called that stands neither in it nor in its text.

That is environment variables and the installed packages of its layers. A file that its `forward`
reads names nothing: what a layer looks up while it runs may be there to steer it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Iterable

from secateur.study.content import Contents, constants_of, names_of

PACKAGE, VARIABLE = "the package ", "the environment variable "
"""How the parts begin that are named here."""

_ENVIRONMENT = {"environ", "environb", "getenv"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What another version of them changes in a network is seen in the network, or is rounding.
_TAKEN_AS_THEY_ARE = {"torch", "numpy", "secateur"}


def surroundings(contents: Contents) -> dict[str, str]:
    """What a network reads from outside, by name, as digests.

    Args:
        contents: What has digested its builder and the classes of its layers.
    """
    packages = _packages(installed_modules(contents))
    return {**_variables(contents), **packages}


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
