"""Public names that the reference has not put into a group yet: none is left out."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

import secateur

_PLACE = "<!-- other public names -->"


def others(page: str) -> str:
    """The entries of the names in `secateur.__all__` that a page does not name."""
    named = set(re.findall(r":: secateur\.(\w+)$", page, re.M))
    left = [name for name in secateur.__all__ if name not in named]
    entries = "".join(_entry(name) for name in left)
    return f"## More\n\n```{{eval-rst}}\n{entries}```\n" if left else ""


def _entry(name: str) -> str:
    kind = "class" if isinstance(getattr(secateur, name), type) else "function"
    return f".. auto{kind}:: secateur.{name}\n" + "   :members:\n" * (kind == "class")


def _complete(app: Sphinx, name: str, source: list[str]) -> None:  # noqa: ARG001
    source[0] = source[0].replace(_PLACE, others(source[0]))


def setup(app: Sphinx) -> dict[str, Any]:
    """Complete a page as it is read."""
    app.connect("source-read", _complete)
    return {"parallel_read_safe": True}
