"""The directive `{table-of}`: what the registries hold, as a table that cannot drift."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from secateur.registry import ALLOCATIONS, CRITERIA, METHODS, REPAIRS
from secateur.study.metrics import AXES

Rows = list[tuple[str, ...]]


def _axes() -> Rows:
    better = {True: "more", False: "less"}
    return [(name, axis.label, better[axis.higher]) for name, axis in AXES.items()]


def _criteria() -> Rows:
    return [
        (name, inspect.getdoc(CRITERIA[name]).splitlines()[0])  # type: ignore[union-attr]
        for name in CRITERIA
    ]


def _allocations() -> Rows:
    return [
        (name, inspect.getdoc(ALLOCATIONS[name]).splitlines()[0])  # type: ignore[union-attr]
        for name in ALLOCATIONS
    ]


def _methods() -> Rows:
    return [(name, METHODS[name].summary, METHODS[name].source) for name in METHODS]


def _repairs() -> Rows:
    return [(name, REPAIRS[name].summary, REPAIRS[name].source) for name in REPAIRS]


TABLES: dict[str, tuple[tuple[str, ...], Callable[[], Rows]]] = {
    "allocations": (("allocation", "how much each layer keeps"), _allocations),
    "axes": (("axis", "what", "better"), _axes),
    "criteria": (("criterion", "score of a unit"), _criteria),
    "methods": (("method", "what goes", "source"), _methods),
    "repairs": (("repair", "what is mended", "source"), _repairs),
}


class TableOf(SphinxDirective):
    """One of `TABLES`; the first column is set as code."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """One table."""
        heads, rows = TABLES[self.arguments[0]]
        table = nodes.table()
        group = nodes.tgroup(cols=len(heads))
        table += group
        group += [nodes.colspec(colwidth=1) for _ in heads]
        group += nodes.thead("", _row([nodes.paragraph(text=head) for head in heads]))
        body = nodes.tbody()
        for first, *rest in rows():
            name = nodes.paragraph("", "", nodes.literal(text=first))
            body += _row([name, *(nodes.paragraph(text=text) for text in rest)])
        group += body
        return [table]


def _row(cells: list[nodes.paragraph]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    """Enter the directive."""
    app.add_directive("table-of", TableOf)
    return {"parallel_read_safe": True}
