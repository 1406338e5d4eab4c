"""A split, one batch at a time: shuffled, augmented and normalised where its tensors are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from secateur.data.split import Split
from secateur.errors import DataError


class Images(Protocol):
    """What making a batch of images has to know of their data; see `ImageData`."""

    @property
    def flip(self) -> bool:
        """Whether training images are mirrored."""

    @property
    def crop(self) -> int:
        """By how many pixels they are shifted."""

    def normalise(self, images: Tensor, memory_format: torch.memory_format = ...) -> Tensor:
        """Bytes as the floats that a network reads."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is drawn for one pass over a split, on the split's device.

    Attributes:
        order: int64, `[N]`: which image comes when.
        mirrored: bool, `[N]` in that order: which images are mirrored.
        shifts: int64, `[2, N]` in that order: rows and columns, `0 .. 2 * crop`.
    """

    order: Tensor
    mirrored: Tensor
    shifts: Tensor


def batches(
    data: Images,
    split: Split,
    batch_size: int,
    *,
    generator: torch.Generator | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
    rank: int = 0,
    world: int = 1,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Go through a split once, a batch at a time; the last, short batch is kept.

    With a generator the images are shuffled and augmented as `data` says; without one they come
    in order and as they are. Everything random in the pass is drawn on the CPU, from the
    generator, when this function is called: the same seed gives the same batches on every device
    and to every rank, and no step of a GPU waits for the next draw.

    Args:
        data: Its normalisation and augmentation apply.
        split: Usually one of `data`'s own; the batches are on this split's device.
        batch_size: Images in a batch, over all ranks together.
        generator: On the CPU; None for the plain order.
        memory_format: Of the images.
        rank: Which of the `world` processes this is.
        world: Every batch is shared out among so many processes, in consecutive parts that
            differ by one image at most. All take the same number of steps, so a last batch of
            fewer images than processes leaves some an empty part.

    Yields:
        Images, float32 `[B, C, H, W]`, and their labels, int64 `[B]`.

    Raises:
        DataError: The batch size or the rank makes no sense, or the generator is not on the CPU.

    Example:
        >>> import secateur.data
        >>> data = secateur.data.load("shapes", train=100, val=10, test=10)
        >>> shuffled = batches(data, data.train, 64, generator=torch.Generator().manual_seed(1))
        >>> [tuple(images.shape) for images, labels in shuffled]
        [(64, 3, 25, 25), (36, 3, 25, 25)]
    """
    _check(batch_size, generator, rank, world)
    plan = None if generator is None else _draw(data, split, generator)
    return _iterate(data, split, batch_size, plan, memory_format, rank, world)


def _check(batch_size: int, generator: torch.Generator | None, rank: int, world: int) -> None:
    if batch_size < 1:
        raise DataError(
            "making batches",
            "the batch size",
            given=str(batch_size),
            expected="at least 1",
            remedy="Choose a batch size such as 128.",
        )
    if not 0 <= rank < world:
        raise DataError(
            "making batches",
            "the rank",
            given=f"{rank} of {world}",
            expected="0 <= rank < world",
            remedy="Number the processes from 0.",
        )
    if generator is not None and generator.device.type != "cpu":
        raise DataError(
            "making batches",
            "the generator",
            given=f"on {generator.device}",
            expected="on the CPU, wherever the images are",
            remedy="Make it with torch.Generator(), without a device.",
        )


def _draw(data: Images, split: Split, generator: torch.Generator) -> _Plan:
    count, device = len(split), split.images.device
    order = torch.randperm(count, generator=generator)
    mirrored = torch.rand(count, generator=generator) < (0.5 if data.flip else 0)
    shifts = torch.randint(2 * data.crop + 1, (2, count), generator=generator)
    return _Plan(order.to(device), mirrored.to(device), shifts.to(device))


def _iterate(
    data: Images,
    split: Split,
    batch_size: int,
    plan: _Plan | None,
    memory_format: torch.memory_format,
    rank: int,
    world: int,
) -> Iterator[tuple[Tensor, Tensor]]:
    for start in range(0, len(split), batch_size):
        size = min(batch_size, len(split) - start)
        part = slice(start + size * rank // world, start + size * (rank + 1) // world)
        if plan is None:
            images, labels = split.images[part], split.labels[part]
        else:
            chosen = plan.order[part]
            images = split.images.index_select(0, chosen)
            labels = split.labels.index_select(0, chosen)
            if data.flip or data.crop:
                images = _augment(images, plan.mirrored[part], plan.shifts[:, part], data.crop)
        yield data.normalise(images, memory_format), labels


def _augment(images: Tensor, mirrored: Tensor, shifts: Tensor, crop: int) -> Tensor:
    """Cut each image's own window out of a black frame `crop` wide, mirrored where asked.

    One gather does both: every pixel of the result names the pixel that it comes from.
    """
    height, width = images.shape[2:]
    framed = functional.pad(images, (crop, crop, crop, crop))
    rows = shifts[0, :, None] + torch.arange(height, device=images.device)
    columns = shifts[1, :, None] + torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    sources = rows[:, :, None] * framed.shape[3] + columns[:, None, :]
    sources = sources.view(-1, 1, height * width).expand(-1, images.shape[1], -1)
    return framed.flatten(2).gather(2, sources).view_as(images)
