"""One axis of a convolution, sorted by phase so that every stride becomes a stride of 1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConvAxis:
    """Where the taps of a kernel lie along the height or the width of an image.

    Position `t` of phase `p` is the pixel `p + stride * t - before`. Only phases that a tap needs
    are kept. Within one, neighbours in the output read neighbours in the input.

    Args:
        size: Pixels of the image.
        kernel: Of the kernel.
        stride: Pixels from one output to the next.
        dilation: Pixels from one tap to the next.
        before: Zeros on top or left.
        after: Zeros below or right.

    Example:
        >>> axis = ConvAxis(size=8, kernel=3, stride=2, dilation=1, before=1, after=1)
        >>> axis.outputs, axis.phases, axis.length
        (4, (0, 1), 5)
        >>> axis.place(2)  # the third tap: phase 0, one position further
        (0, 1)
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def outputs(self) -> int:
        """Pixels of the output."""
        span = self.dilation * (self.kernel - 1) + 1
        return (self.size + self.before + self.after - span) // self.stride + 1

    @property
    def phases(self) -> tuple[int, ...]:
        """The phases that are needed, rising."""
        return tuple(sorted({tap * self.dilation % self.stride for tap in range(self.kernel)}))

    @property
    def reach(self) -> int:
        """How many positions beyond its own the farthest tap reads."""
        return (self.kernel - 1) * self.dilation // self.stride

    @property
    def length(self) -> int:
        """Positions of a phase, zeros around the image included."""
        return self.outputs + self.reach

    @property
    def plain(self) -> bool:
        """Whether the one phase is the image itself."""
        return self.stride == 1 and self.before == 0 and self.after == 0

    def place(self, tap: int) -> tuple[int, int]:
        """The tap's phase, as an index into `phases`, and its first position there."""
        pixel = tap * self.dilation
        return self.phases.index(pixel % self.stride), pixel // self.stride

    def inside(self, phase: int) -> tuple[slice, slice]:
        """The positions of a phase that are pixels, and which pixels these are.

        Args:
            phase: One of `phases`.

        Example:
            >>> ConvAxis(size=8, kernel=3, stride=2, dilation=1, before=1, after=1).inside(0)
            (slice(1, 5, None), slice(1, 8, 2))
        """
        first = max(0, -((phase - self.before) // self.stride))
        last = min(self.length, (self.size - 1 + self.before - phase) // self.stride + 1)
        count = max(0, last - first)
        pixel = phase + self.stride * first - self.before
        if count == 0:
            return slice(0, 0), slice(0, 0)
        pixels = slice(pixel, pixel + self.stride * (count - 1) + 1, self.stride)
        return slice(first, first + count), pixels
