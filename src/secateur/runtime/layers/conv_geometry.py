"""How a convolution or a linear layer reads its input, when all strides have become 1."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from secateur.runtime.layers.axis import Axis
from secateur.runtime.layers.batchlast import batch_last, lay_out

_LARGEST = 2**31  # positions are numbered in 32 bits
_POINT = Axis(size=1, taps=1, stride=1, dilation=1, before=0, after=0)


@dataclass(frozen=True)
class Window:
    """The geometry of one layer on images of one size; a linear layer's images are 1 x 1.

    The input is *spread*: each channel becomes one plane for each phase, with its padding. The
    outer gradient is *framed*: zeros around it, as far as the kernel reaches.

    Args:
        channels: Of the input.
        down: The height.
        right: The width.
    """

    channels: int
    down: Axis = _POINT
    right: Axis = _POINT

    @property
    def phases(self) -> int:
        """Planes of one channel."""
        return len(self.down.phases) * len(self.right.phases)

    @property
    def positions(self) -> int:
        """Of all planes together."""
        return self.channels * self.phases * self.down.length * self.right.length

    def possible(self, outputs: int) -> bool:
        """Whether there is an output, and the positions can be numbered.

        Args:
            outputs: Channels of the output.
        """
        if min(self.down.outputs, self.right.outputs) < 1:
            return False
        framed = (self.down.length + self.down.reach) * (self.right.length + self.right.reach)
        return max(self.positions, outputs * framed) < _LARGEST

    @property
    def direct(self) -> bool:
        """Whether the gradient of the input is the whole image at once: no stride."""
        return self.down.stride == 1 and self.right.stride == 1

    def spread(self, x: Tensor, batch: int) -> Tensor:
        """The input as the taps read it: `[planes, height, width, batch]`, maybe `x` itself.

        Args:
            x: `[images, channels, height, width]` or `[images, channels]`.
            batch: At least as many as there are images.
        """
        if self.down.plain and self.right.plain:
            return lay_out(x, batch)
        down, right = self.down, self.right
        buffer = torch.empty(
            self.channels, len(down.phases), len(right.phases), down.length, right.length, batch
        )
        for i, above in enumerate(down.phases):
            rows, lines = down.inside(above)
            for j, beside in enumerate(right.phases):
                columns, pixels = right.inside(beside)
                part = buffer[:, i, j]
                _clear_around(part, rows, columns)
                part[:, rows, columns, : len(x)] = x[:, :, lines, pixels].movedim(0, -1)
        if len(x) < batch:
            buffer[..., len(x) :] = 0
        return buffer

    def frame(self, outer: Tensor) -> Tensor:
        """The outer gradient with its zeros around it, until this thread frames another one.

        Args:
            outer: `[channels, height, width, batch]`; returned as it is where no zeros are needed.
        """
        down, right = self.down, self.right
        if down.reach == 0 and right.reach == 0:
            return outer
        channels, height, width, batch = outer.shape
        size = (channels, height + 2 * down.reach, width + 2 * right.reach, batch)
        buffer = _scratch(math.prod(size)).view(size)
        rows = slice(down.reach, down.reach + height)
        columns = slice(right.reach, right.reach + width)
        _clear_around(buffer, rows, columns)
        buffer[:, rows, columns] = outer
        return buffer

    def gather(self, spread: Tensor, images: int) -> Tensor:
        """From the gradient of the spread input to that of the images, unless it is `direct`.

        Args:
            spread: `[planes, height, width, batch]`.
            images: How many of the batch are images.
        """
        down, right = self.down, self.right
        size = (images, self.channels, down.size, right.size)
        parts = spread.view(self.channels, len(down.phases), len(right.phases), *spread.shape[1:])
        gathered = batch_last(size).zero_()
        for i, above in enumerate(down.phases):
            rows, lines = down.inside(above)
            for j, beside in enumerate(right.phases):
                columns, pixels = right.inside(beside)
                inner = parts[:, i, j, rows, columns, :images]
                gathered[:, :, lines, pixels] = inner.movedim(-1, 0)
        return gathered


def _clear_around(planes: Tensor, rows: slice, columns: slice) -> None:
    """Zero what is outside: a fraction of what it takes to zero it all."""
    planes[:, : rows.start] = 0
    planes[:, rows.stop :] = 0
    planes[:, rows, : columns.start] = 0
    planes[:, rows, columns.stop :] = 0


def _scratch(count: int) -> Tensor:
    """Memory of this thread alone, kept: fresh pages would cost as much as filling them."""
    kept: Tensor | None = getattr(_own, "scratch", None)
    if kept is None or kept.numel() < count:
        kept = _own.scratch = torch.empty(count)
    return kept[:count]


_own = threading.local()
