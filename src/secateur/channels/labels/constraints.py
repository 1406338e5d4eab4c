"""Constraints: which labels can only go together, which may never go, and why.

Everything is appended as whole vectors; the components are found once, by scipy.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from secateur.channels.labels.axis_labels import FIXED, AxisLabels, Vector


@dataclass(frozen=True, slots=True)
class Pin:
    """Labels that an operator holds in place.

    Attributes:
        operator: The operator's name, with the reason where the name does not say it.
        path: The module in which it ran.
        labels: The labels held; one may occur more than once.
    """

    operator: str
    path: str
    labels: Vector


@dataclass(slots=True)
class Ties:
    """A growing list of labels, ties between them and pins."""

    count: int = 1
    left: list[Vector] = field(default_factory=list)
    right: list[Vector] = field(default_factory=list)
    pins: list[Pin] = field(default_factory=list)

    def fresh(self, size: int, *, const: bool = False) -> AxisLabels:
        """A new axis whose labels have never been used."""
        labels = np.arange(self.count, self.count + size, dtype=np.int64)
        self.count += size
        return AxisLabels(labels, np.full(size, const, np.bool_))

    def pin(self, labels: Vector, operator: str, path: str) -> None:
        """Hold labels in place."""
        moving = labels[labels != FIXED]
        if moving.size:
            self.pins.append(Pin(operator, path, moving))

    def tie(self, left: Vector, right: Vector, operator: str, path: str) -> None:
        """Bind two vectors of labels index by index; a meeting with `FIXED` is a pin."""
        differs = left != right
        if not differs.any():
            return
        left, right = left[differs], right[differs]
        held = (left == FIXED) | (right == FIXED)
        if held.any():
            self.pin(np.maximum(left, right)[held], f"{operator} with a fixed axis", path)
            left, right = left[~held], right[~held]
        self.left.append(left)
        self.right.append(right)

    def components(self) -> Vector:
        """For each label, the number of its component (`[count]`), pins aside."""
        left = np.concatenate([np.zeros(0, np.int64), *self.left])
        right = np.concatenate([np.zeros(0, np.int64), *self.right])
        ones = np.ones(left.size, np.bool_)
        graph = coo_array((ones, (left, right)), shape=(self.count, self.count))
        _, component = connected_components(graph, directed=False)
        return component.astype(np.int64)
