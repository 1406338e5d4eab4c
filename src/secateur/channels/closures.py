"""Closures: a function that a copied network keeps must close over the copy, not the original.

A hook `lambda module, inputs, output: self.seen.append(output)` writes into the network that made
it, and `copy.deepcopy` takes functions as they are: each pass of a copy would change the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import CellType, FunctionType
from typing import Any

from torch import Tensor, nn


class Closures:
    """The functions of one copy: their cells are filled once all is copied that they may hold."""

    def __init__(self) -> None:
        self._functions: dict[int, FunctionType] = {}
        self._cells: dict[int, tuple[CellType, CellType]] = {}

    def copied(self, function: FunctionType) -> FunctionType:
        """A function whose cells are the copy's own; itself where it holds nothing of a network."""
        known = self._functions.get(id(function))
        if known is not None:
            return known
        cells = function.__closure__ or ()
        if not any(_may_hold(cell) for cell in cells):
            return function
        new = FunctionType(
            function.__code__,
            function.__globals__,
            function.__name__,
            function.__defaults__,
            tuple(self._cells.setdefault(id(one), (one, CellType()))[1] for one in cells),
        )
        new.__kwdefaults__, new.__qualname__ = function.__kwdefaults__, function.__qualname__
        new.__dict__.update(function.__dict__)
        self._functions[id(function)] = new
        return new

    def fill(self, memo: Mapping[int, Any]) -> None:
        """Put into each cell what was copied of its contents, or the contents themselves.

        Args:
            memo: By the id of each original, its copy.
        """
        filled: set[int] = set()
        while len(filled) < len(self._cells):  # a function in a cell brings cells of its own
            for key, (old, new) in list(self._cells.items()):
                if key not in filled and not is_empty(old):
                    content = old.cell_contents
                    if isinstance(content, FunctionType):
                        new.cell_contents = self.copied(content)
                    else:
                        new.cell_contents = memo.get(id(content), content)
                filled.add(key)


def _may_hold(cell: CellType, depth: int = 3) -> bool:
    """Whether something lies in a cell that a network may have, or a function that holds such."""
    if is_empty(cell):
        return False
    content = cell.cell_contents
    if isinstance(content, FunctionType):
        cells = content.__closure__ or ()
        return depth > 0 and any(_may_hold(one, depth - 1) for one in cells)
    return isinstance(content, nn.Module | Tensor | dict | list)


def is_empty(cell: CellType) -> bool:
    """Whether a cell of a closure holds nothing."""
    try:
        return cell.cell_contents is None
    except ValueError:  # nothing has been put into it yet
        return True
