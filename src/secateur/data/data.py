"""Data of any kind, as training and scoring see them: three splits, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, Self, runtime_checkable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

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
        DataError: It is neither, holds no tensor, an input is NaN, or first axes differ.

    Example:
        >>> as_batch({"x": torch.ones(2), "labels": torch.ones(2)}, "mine")[1] is None
        True
    """
    if isinstance(item, Mapping) and tensors_in(item):
        return _checked((item, None), source)
    if isinstance(item, tuple | list) and len(item) == 2 and tensors_in(item[0]):
        return _checked((item[0], item[1]), source)
    raise DataError(
        f"reading {source}",
        "a batch",
        given=f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__,
        expected="a pair of inputs and target, or a mapping of inputs by name",
        remedy="Return (inputs, target); several inputs are a tuple of their own.",
    )


def _checked(batch: Batch, source: str) -> Batch:
    inputs, target = batch
    if not isinstance(inputs, PackedSequence):
        tensors = [*tensors_in(inputs), *([target] if isinstance(target, Tensor) else [])]
        sizes = {len(one) for one in tensors if one.dim()}
        if len(sizes) > 1:
            raise DataError(
                f"reading {source}",
                "a batch",
                given=f"tensors of {', '.join(map(str, sorted(sizes)))} examples",
                expected="as many in each: the first axis of every tensor is the examples",
                remedy="Make the batches so; a tensor that all examples share belongs to the net.",
            )
    # Infinities pass: an additive attention mask is made of them.
    for one in tensors_in(inputs):
        if one.is_floating_point() and bool(one.isnan().any()):
            raise DataError(
                f"reading {source}",
                "an input",
                given="NaN",
                expected="numbers",
                remedy="Leave out or fill in what is missing.",
            )
    return batch


def check_labels(source: str, split: str, target: Tensor, classes: int) -> None:
    """Refuse labels that are not of the classes.

    Raises:
        DataError: They are no whole numbers, or one is `classes` or more. One below zero, or 255,
            is left out by the tasks that know such labels.
    """
    if target.is_floating_point() or target.dtype == torch.bool:
        given, expected, subject = str(target.dtype), "whole numbers", f"the target of {split}"
    else:
        outside = target[(target >= classes) & (target != 255)]
        if not outside.numel():
            return
        given, expected, subject = (
            str(int(outside.max())),
            f"less than {classes}",
            f"a label of {split}",
        )
    raise DataError(
        f"checking {source}",
        subject,
        given=given,
        expected=expected,
        remedy="Correct the labels, or the number of classes.",
    )


def count_of(batch: Batch) -> int:
    """How many examples a batch has: the length of the first axis of its first tensor.

    Example:
        >>> count_of((torch.zeros(4, 7), None))
        4
    """
    inputs = batch[0]
    return int(inputs.batch_sizes[0]) if isinstance(inputs, PackedSequence) else batch_size(inputs)


def all_of(found: Iterable[Batch], source: str, split: SplitName, size: int) -> Iterator[Batch]:
    """Pass batches on, and see at the end that they were the whole split.

    Scores and learning rates are counted by the split's size; one that a loader cuts short (or
    that it has used up) would make them wrong without a word.

    Raises:
        DataError: They held more or fewer examples than the split has.
    """
    count = 0
    for batch in found:
        count += count_of(batch)
        yield batch
    if count != size:
        raise DataError(
            f"reading {source}",
            f"a pass over {split}",
            given=f"of {count} examples",
            expected=f"{size}, the size of the split",
            remedy="Keep the last short batch (drop_last=False), give as many examples at every "
            "pass, or correct the size.",
        )
