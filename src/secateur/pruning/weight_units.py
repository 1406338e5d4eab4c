"""Weight units: what of one weight is cut as one, by its place alone: single weights, blocks.

Of a layer's weight as a matrix `[outputs, inputs x places of the kernel]`, a block is a rectangle;
a kernel is the block of one output and all places of one input. Blocks begin at the first row and
column and do not reach into another group of a convolution; where the matrix is no multiple of
them, the last ones are smaller.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from secateur.foundation.granularity import KERNEL, Block, block
from secateur.pruning.weight_matrix import WeightMatrix


class WeightUnits(Protocol):
    """The units of one weight, numbered."""

    @property
    def sizes(self) -> int | Tensor:
        """How many weights each has: int64 `[units]`, or one number for all."""

    @abstractmethod
    def rows(self, tensor: Tensor) -> Tensor:
        """What has the weight's shape, as `[units, weights per unit]`; zeros where one has less."""

    @abstractmethod
    def by_output(self, scores: Tensor) -> Tensor:
        """One number a unit, as `[outputs, units of each]`; not of blocks of several rows."""

    @abstractmethod
    def from_outputs(self, by_output: Tensor) -> Tensor:
        """The way back, to `[units]`."""

    @abstractmethod
    def spread(self, kept: Tensor) -> Tensor:
        """Bool `[units]`, as the weight's mask."""


def units_of(layout: WeightMatrix, granularity: str) -> WeightUnits:
    """The units of a weight.

    Args:
        layout: How it lies as a matrix.
        granularity: `kernel`, or rows x columns of a block; all else is of single weights.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> conv = nn.Conv2d(2, 3, 2)
        >>> units = units_of(WeightMatrix.of(conv, conv.weight.shape), "kernel")
        >>> units.rows(torch.arange(24.0).view(3, 2, 2, 2))[1].tolist()
        [4.0, 5.0, 6.0, 7.0]
    """
    shape = Block(1, layout.kernel) if granularity == KERNEL else block(granularity)
    return _Singles(layout) if shape is None else _Blocks(layout, shape)


@dataclass(frozen=True)
class _Singles:
    """Single weights, in the order of the weight."""

    layout: WeightMatrix
    sizes: int = 1

    def rows(self, tensor: Tensor) -> Tensor:
        return tensor.reshape(-1, 1)

    def by_output(self, scores: Tensor) -> Tensor:
        laid = self.layout.of_tensor(scores)
        return laid.reshape(self.layout.rows, self.layout.inputs * self.layout.kernel)

    def from_outputs(self, by_output: Tensor) -> Tensor:
        return self.layout.to_tensor(by_output).reshape(-1)

    def spread(self, kept: Tensor) -> Tensor:
        return kept.reshape(self.layout.shape)


@dataclass(frozen=True)
class _Blocks:
    """Blocks, row of blocks by row of blocks."""

    layout: WeightMatrix
    block: Block

    @property
    def _columns(self) -> int:
        return self.layout.inputs * self.layout.kernel

    @property
    def _grid(self) -> tuple[int, int, int]:
        """Matrices, and rows and columns of blocks in each."""
        rows = math.ceil(self.layout.outputs / self.block.rows)
        return self.layout.groups, rows, math.ceil(self._columns / self.block.columns)

    @property
    def sizes(self) -> int | Tensor:
        groups, rows, columns = self._grid
        heights = _lengths(self.layout.outputs, rows, self.block.rows)
        widths = _lengths(self._columns, columns, self.block.columns)
        found = torch.outer(heights, widths)
        largest = self.block.rows * self.block.columns
        return largest if bool((found == largest).all()) else found.repeat(groups, 1).reshape(-1)

    def rows(self, tensor: Tensor) -> Tensor:
        groups, rows, columns = self._grid
        height, width = self.block
        matrix = self.layout.of_tensor(tensor).flatten(2)
        more = (0, columns * width - self._columns, 0, rows * height - self.layout.outputs)
        laid = pad(matrix, more) if any(more) else matrix
        cells = laid.reshape(groups, rows, height, columns, width).transpose(2, 3)
        return cells.reshape(groups * rows * columns, height * width)

    def by_output(self, scores: Tensor) -> Tensor:
        groups, rows, columns = self._grid
        return scores.reshape(groups * rows, columns)

    def from_outputs(self, by_output: Tensor) -> Tensor:
        return by_output.reshape(-1)

    def spread(self, kept: Tensor) -> Tensor:
        groups, rows, columns = self._grid
        height, width = self.block
        cells = kept.reshape(groups, rows, 1, columns, 1)
        laid = cells.expand(groups, rows, height, columns, width)
        matrix = laid.reshape(groups, rows * height, columns * width)
        return self.layout.to_tensor(matrix[:, : self.layout.outputs, : self._columns])


def _lengths(total: int, count: int, each: int) -> Tensor:
    """How long each of `count` pieces is; the last may be shorter."""
    found = torch.full((count,), each)
    found[-1:] = total - each * (count - 1)
    return found
