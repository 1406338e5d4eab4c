"""AxisLabels labels: for every axis of a tensor, the channel that each index along it belongs to.

A network computes on grids, and a grid can only lose whole indices along an axis. So a tensor's
channels are described by one vector of integer *labels* an axis, never by one label an element:
the description costs as much as the tensor's shape, not as its contents, and a cut can never be
ragged. Label 0 (`FIXED`) marks an index that no cut may remove.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Vector = NDArray[np.int64]
Flags = NDArray[np.bool_]

FIXED = 0


@dataclass(frozen=True, slots=True, eq=False)
class AxisLabels:
    """The labels along one axis, and which of its slices are constant for every input.

    Attributes:
        labels: int64 `[size]`; `FIXED` where the index stays.
        const: bool `[size]`; True where every element of the slice has the same value whatever
            the network's input and whatever the input's size.
    """

    labels: Vector
    const: Flags

    @property
    def size(self) -> int:
        """How many indices the axis has."""
        return int(self.labels.size)

    def take(self, index: Vector | slice) -> AxisLabels:
        """The axis after a gather: every movement along one axis is one of these.

        Example:
            >>> AxisLabels(np.array([4, 5, 6]), np.zeros(3, bool)).take(np.array([2, 0])).labels
            array([6, 4])
        """
        return AxisLabels(self.labels[index], self.const[index])

    @property
    def is_fixed(self) -> bool:
        """True when no index along the axis can go."""
        return not self.labels.any()


@dataclass(frozen=True, slots=True, eq=False)
class TensorLabels:
    """What is known of a tensor: its axes (None: all fixed, none constant), and its origin.

    Attributes:
        axes: One entry an axis.
        constant: The tensor is made of parameters, buffers and literals alone.
        may_be_nonzero: It may be non-zero where its channels' own parameters are zero.
        given: The tensor is made of inputs, buffers and literals alone: no parameter changes it.
            None where a rule leaves that to the tape.
    """

    axes: tuple[AxisLabels | None, ...]
    constant: bool = False
    may_be_nonzero: bool = False
    given: bool | None = None

    def fits(self, tensor: Tensor) -> bool:
        """Whether it describes a tensor of this shape."""
        return len(self.axes) == tensor.dim() and all(
            axis is None or axis.size == size
            for axis, size in zip(self.axes, tensor.shape, strict=True)
        )

    def known_given(self, given: bool | None) -> TensorLabels:
        """The same layout, if its rule has left open whether parameters change the tensor."""
        if self.given is not None:
            return self
        return TensorLabels(self.axes, self.constant, self.may_be_nonzero, given)

    def replace(self, changes: dict[int, AxisLabels | None]) -> TensorLabels:
        """The same layout with some axes exchanged."""
        axes = list(self.axes)
        for position, axis in changes.items():
            axes[position] = axis
        return TensorLabels(tuple(axes), self.constant)


def plain(rank: int, *, constant: bool = False, given: bool | None = None) -> TensorLabels:
    """A layout in which every axis is fixed."""
    return TensorLabels((None,) * rank, constant, given=given)


def join(axes: Sequence[AxisLabels | None], sizes: Sequence[int]) -> AxisLabels | None:
    """The axis of a concatenation; `sizes` gives the lengths of those that are None."""
    if all(axis is None for axis in axes):
        return None
    full = [fixed(size) if axis is None else axis for axis, size in zip(axes, sizes, strict=True)]
    return AxisLabels(
        np.concatenate([axis.labels for axis in full]),
        np.concatenate([axis.const for axis in full]),
    )


def fixed(size: int) -> AxisLabels:
    """An axis of that length from which nothing can go."""
    return AxisLabels(np.zeros(size, np.int64), np.zeros(size, np.bool_))
