"""Random inputs: like the example, with other numbers and of another size.

A network takes more than the example's shape: a spectrum is positive, a probability lies in
[0, 1], an id belongs to a table. So new numbers lie between those of the example, ids are those of
the example in another order, and masks stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from secateur.foundation.run_example import each_tensor, tensors_in

FEW = 2
GROWN = 8
IMAGE = 4
SMALL = 16
DRAWN = 3


@dataclass(frozen=True, slots=True)
class Draw:
    """One set of inputs.

    Attributes:
        inputs: The example's tree with other tensors.
        batch: Its number of rows, and the example's.
        resized: Whether its images have another size.
    """

    inputs: Any
    batch: tuple[int, int]
    resized: bool

    @property
    def changes(self) -> tuple[bool, bool]:
        """Whether the batch and the images have another size."""
        return self.batch[0] != self.batch[1], self.resized

    def is_shown(self, taken: Collection[tuple[bool, bool]]) -> bool:
        """Whether draws that the network took have shown all that this one could."""
        batch, resized = self.changes
        return any((one[0] or not batch) and (one[1] or not resized) for one in taken)


def draws(example: Any, *, calm: bool = False) -> Iterator[Draw]:
    """Inputs like the example, in the order in which they are to be tried, the example left out.

    Args:
        example: A tensor, or tuples, lists and dicts of them.
        calm: Leave whole numbers as they are, and draw no numbers below zero from zeros.
    """
    generator = torch.Generator().manual_seed(DRAWN)
    rows = next((one.shape[0] for one in tensors_in(example) if one.dim()), 1)
    other = rows // 2 if rows >= 4 else rows + 1
    sides = [size for one in tensors_in(example) if one.dim() >= IMAGE for size in one.shape[2:]]
    resizes = [_half] if sides and min(sides) >= SMALL else []
    for count in (other, rows):
        for resize in (*resizes, *([_grown] if sides else []), _as_it_is):
            change = partial(
                _sized, rows=rows, count=count, resize=resize, generator=generator, calm=calm
            )
            yield Draw(each_tensor(example, change), (count, rows), resize is not _as_it_is)


def _half(size: int) -> int:
    return size // 2


def _grown(size: int) -> int:
    return size + GROWN


def _as_it_is(size: int) -> int:
    return size


def _sized(
    tensor: Tensor,
    *,
    rows: int,
    count: int,
    resize: Callable[[int], int],
    generator: torch.Generator,
    calm: bool,
) -> Tensor:
    """A tensor of other numbers; images (four axes or more) of another size, and other rows."""
    shape = list(tensor.shape)
    if tensor.dim() == 0:
        return tensor
    if shape[0] == rows:
        shape[0] = count
    if tensor.dim() >= IMAGE:
        shape[2:] = [resize(size) for size in shape[2:]]
    if _is_kept(tensor, calm):
        return tensor if shape == list(tensor.shape) else _stretched(tensor, shape)
    return redrawn(tensor, shape, generator, calm=calm)


def _is_kept(tensor: Tensor, calm: bool) -> bool:
    """Masks, whatever type they have, stay; so do whole numbers where the network is touchy."""
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor.layout != torch.strided or tensor.is_nested
    return calm or tensor.dtype == torch.bool or torch.unique(tensor).numel() <= FEW


def _stretched(tensor: Tensor, shape: list[int]) -> Tensor:
    """The tensor's own numbers, repeated or cut along each axis."""
    for axis, size in enumerate(shape):
        index = torch.arange(size, device=tensor.device) % max(tensor.shape[axis], 1)
        tensor = tensor.index_select(axis, index)
    return tensor


def redrawn(
    tensor: Tensor, shape: list[int], generator: torch.Generator, *, calm: bool = False
) -> Tensor:
    """Numbers between those of a tensor, or some of them where they are whole.

    Args:
        tensor: The example's.
        shape: The new shape.
        generator: For the numbers.
        calm: Draw no numbers below zero from zeros.

    Example:
        >>> pixels = torch.tensor([0, 7, 255], dtype=torch.uint8)
        >>> set(redrawn(pixels, [50], torch.Generator().manual_seed(0)).tolist()) <= {0, 7, 255}
        True
    """
    flat = tensor.detach().reshape(-1)
    size = int(torch.Size(shape).numel())
    if flat.numel() == 0 or size == 0:
        return torch.zeros(shape, dtype=tensor.dtype, device=tensor.device)
    first, second = (
        flat[torch.randint(flat.numel(), (size,), generator=generator).to(flat.device)]
        for _ in range(2)
    )
    if tensor.is_floating_point() and bool((flat == flat[0]).all()):
        first = _around(first, generator, calm)
    elif not (_is_whole(flat) or tensor.is_complex()):
        share = torch.rand(size, generator=generator, dtype=torch.float64).to(flat.device)
        between = first.double() + (second.double() - first.double()) * share
        first = torch.where(between.isfinite(), between, first.double()).to(tensor.dtype)
    return first.reshape(shape)


def _is_whole(flat: Tensor) -> bool:
    """Whether all are whole numbers (pixels as floats, flags, counts)."""
    return not flat.is_complex() and bool((flat == flat.round()).all())


def _around(values: Tensor, generator: torch.Generator, calm: bool) -> Tensor:
    """Numbers around one: an example of zeros or ones says little of what the network takes."""
    spread = torch.rand(values.numel(), generator=generator, dtype=torch.float64)
    noise = torch.randn(values.numel(), generator=generator, dtype=torch.float64)
    by = spread if calm else noise
    zero = bool(values[0] == 0)
    found = by.to(values.device) if zero else values.double() * (0.5 + spread.to(values.device))
    return found.to(values.dtype)
