"""Data of any kind, as training and scoring see them: three splits, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch

from secateur.errors import DataError
from secateur.foundation.run_example import batch_size, tensors_in

SplitName = Literal["train", "val", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")

Batch = tuple[Any, Any]
"""Inputs and target. Inputs are a tensor, a tuple of positional ones, or a mapping of keyword ones;
the target is a tensor, or whatever the task's loss takes; None where the inputs hold it."""


@runtime_checkable
class Data(Protocol):
    """What a study is fed with; `ImageData` and all that `secateur.data` makes are such data."""

    @property
    def name(self) -> str:
        """What to call them in reports."""
        ...

    @property
    def version(self) -> str:
        """What names their contents where these cannot be hashed; else empty."""
        ...

    def fingerprint(self) -> str:
        """SHA-256, in hex, of everything that a result could depend on, wherever it is held."""
        ...

    def size(self, split: SplitName) -> int:
        """How many examples a split has."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same data, whose batches come on `device`."""
        ...

    def batches(
        self, split: SplitName, batch_size: int, *, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Go through a split once; the last, short batch is kept.

        Args:
            split: Its name.
            batch_size: Examples in a batch.
            generator: On the CPU: the split is shuffled (and augmented) by it. None: in order.
        """
        ...

    def example(self, count: int = 1) -> Any:
        """The inputs of the first validation examples: something to trace a network with."""
        ...

    def traits(self) -> dict[str, Any]:
        """What a builder may ask for by keyword: `shape` of one example, `classes`."""
        ...


def check_data(data: object, operation: str) -> Data:
    """Return what is data; say of anything else what is taken instead.

    Args:
        data: What somebody handed over.
        operation: What it is for: `"training"`.

    Raises:
        DataError: It is a loader, a dataset, tensors, or anything else.

    Example:
        >>> try:
        ...     check_data((torch.zeros(4, 3), torch.zeros(4)), "training")
        ... except DataError as error:
        ...     print(error.given, "->", error.expected)
        a tuple -> data with three splits, as secateur.data makes them
    """
    if isinstance(data, Data):
        return data
    raise DataError(
        operation,
        "the data",
        given=f"a {type(data).__name__}",
        expected="data with three splits, as secateur.data makes them",
        remedy="Make them with secateur.data.from_tensors, from_dataset, from_datasets or "
        "from_loaders; see the guide, Data.",
    )


def check_split(split: object) -> SplitName:
    """Return the name of a split.

    Raises:
        DataError: There is none of this name.
    """
    for name in SPLITS:
        if split == name:
            return name
    raise DataError(
        "reading a split",
        "its name",
        given=f"{split!r:.60}",
        expected="train, val or test",
        remedy="Give one of the three.",
    )


def as_batch(item: object, source: str) -> Batch:
    """What a loader gives, as inputs and target.

    A pair is both; a mapping is all inputs, with the target among them.

    Raises:
        DataError: It is neither, or holds no tensor.

    Example:
        >>> as_batch({"x": torch.ones(2), "labels": torch.ones(2)}, "mine")[1] is None
        True
    """
    if isinstance(item, Mapping) and tensors_in(item):
        return item, None
    if isinstance(item, tuple | list) and len(item) == 2 and tensors_in(item[0]):
        return item[0], item[1]
    raise DataError(
        f"reading {source}",
        "a batch",
        given=f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__,
        expected="a pair of inputs and target, or a mapping of inputs by name",
        remedy="Return (inputs, target); several inputs are a tuple of their own.",
    )


def count_of(batch: Batch) -> int:
    """How many examples a batch has: the length of the first axis of its first tensor.

    Example:
        >>> count_of((torch.zeros(4, 7), None))
        4
    """
    return batch_size(batch[0])
