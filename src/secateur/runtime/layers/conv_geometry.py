"""How a convolution or a linear layer reads its input, when all strides have become 1."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from secateur.runtime.layers.axis import ConvAxis
from secateur.runtime.layers.batchlast import batch_last, lay_out

_LARGEST = 2**31  # positions are numbered in 32 bits
_POINT = ConvAxis(size=1, kernel=1, stride=1, dilation=1, before=0, after=0)


@dataclass(frozen=True)
class Window:
    """The geometry of one layer on images of one size; a linear layer's images are 1 x 1.

    The input is *spread*: each channel becomes one plane for each phase, with its padding. The
    outer gradient is *framed*: zeros around it, as far as the kernel reaches.

    Args:
        channels: Of the input.
        h: The height.
        w: The width.
    """

    channels: int
    h: ConvAxis = _POINT
    w: ConvAxis = _POINT

    @property
    def phases(self) -> int:
        """Planes of one channel."""
        return len(self.h.phases) * len(self.w.phases)

    @property
    def positions(self) -> int:
        """Of all planes together."""
        return self.channels * self.phases * self.h.length * self.w.length

    def possible(self, outputs: int) -> bool:
        """Whether there is an output, and the positions can be numbered.

        Args:
            outputs: Channels of the output.
        """
        if min(self.h.outputs, self.w.outputs) < 1:
            return False
        framed = (self.h.length + self.h.reach) * (self.w.length + self.w.reach)
        return max(self.positions, outputs * framed) < _LARGEST

    @property
    def direct(self) -> bool:
        """Whether the gradient of the input is the whole image at once: no stride."""
        return self.h.stride == 1 and self.w.stride == 1

    def spread(self, x: Tensor, batch: int) -> Tensor:
        """The input as the taps read it: `[planes, height, width, batch]`, maybe `x` itself.

        Args:
            x: `[images, channels, height, width]` or `[images, channels]`.
            batch: At least as many as there are images.
        """
        if self.h.plain and self.w.plain:
            return lay_out(x, batch)
        h, w = self.h, self.w
        buffer = torch.empty(self.channels, len(h.phases), len(w.phases), h.length, w.length, batch)
        for i, above in enumerate(h.phases):
            rows, lines = h.inside(above)
            for j, beside in enumerate(w.phases):
                columns, pixels = w.inside(beside)
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
        h, w = self.h, self.w
        if h.reach == 0 and w.reach == 0:
            return outer
        channels, height, width, batch = outer.shape
        size = (channels, height + 2 * h.reach, width + 2 * w.reach, batch)
        buffer = _scratch(math.prod(size)).view(size)
        rows = slice(h.reach, h.reach + height)
        columns = slice(w.reach, w.reach + width)
        _clear_around(buffer, rows, columns)
        buffer[:, rows, columns] = outer
        return buffer

    def gather(self, spread: Tensor, images: int) -> Tensor:
        """From the gradient of the spread input to that of the images, unless it is `direct`.

        Args:
            spread: `[planes, height, width, batch]`.
            images: How many of the batch are images.
        """
        h, w = self.h, self.w
        size = (images, self.channels, h.size, w.size)
        parts = spread.view(self.channels, len(h.phases), len(w.phases), *spread.shape[1:])
        gathered = batch_last(size).zero_()
        for i, above in enumerate(h.phases):
            rows, lines = h.inside(above)
            for j, beside in enumerate(w.phases):
                columns, pixels = w.inside(beside)
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
