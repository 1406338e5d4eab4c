"""Map-style and iterable datasets of anything, read an item at a time."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from secateur.data.data import (
    SPLITS,
    Batch,
    SplitName,
    all_of,
    as_batch,
    check_labels,
    check_split,
)
from secateur.errors import DataError, SecateurError
from secateur.foundation.own_error import words_of
from secateur.foundation.run_example import moved, same_chance

_TWICE = 16
"""So many items are read a second time, to see whether they come out the same."""

Collate = Callable[[list[Any]], Any]


@dataclass(frozen=True, eq=False)
class DatasetData:
    """Three datasets; make them with `from_datasets`, which checks them.

    Attributes:
        name: What to call them in reports.
        version: What names their contents; empty where they are hashed.
        sets: Split -> its dataset.
        sizes: Split -> how many examples it has.
        collate: From a list of items to a batch.
        classes: How many classes the targets have; None where they have none.
        content: SHA-256 of all items, or of `version`.
        device: Where batches come.
    """

    name: str
    version: str
    sets: Mapping[SplitName, Any]
    sizes: Mapping[SplitName, int]
    collate: Collate
    classes: int | None
    content: str
    device: torch.device | str = "cpu"

    def fingerprint(self) -> str:
        """SHA-256, in hex, of every item, or of the version."""
        return self.content

    def reread(self) -> str:
        """The fingerprint of the items as they are now, each read once more.

        Raises:
            DataError: An item cannot be read.
        """
        with same_chance():
            return self.content if self.version else _hashed(self.name, self.sets)

    def size(self, split: SplitName) -> int:
        """How many examples a split has."""
        return self.sizes[check_split(split)]

    def to(self, device: torch.device | str) -> DatasetData:
        """The same data, whose batches come on `device`."""
        return replace(self, device=device)

    def batches(
        self, split: SplitName, batch_size: int, *, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Go through a split once; an iterable one keeps its own order."""
        held = self.sets[check_split(split)]
        groups = _grouped(_items(held, generator), batch_size)
        found = (as_batch(self.collate(items), self.name) for items in groups)
        for inputs, target in all_of(found, self.name, split, self.size(split)):
            if self.classes is not None and isinstance(target, Tensor):
                check_labels(self.name, split, target, self.classes)
            yield moved(inputs, self.device), moved(target, self.device)

    def example(self, count: int = 1) -> Any:
        """The inputs of the first `count` validation examples."""
        return next(iter(self.batches("val", count)))[0]

    def traits(self) -> dict[str, Any]:
        """`shape` of one example where the inputs are one tensor, and `classes` where known."""
        inputs = self.example(1)
        shape = tuple(inputs.shape[1:]) if isinstance(inputs, Tensor) else None
        found = {"shape": shape, "classes": self.classes}
        return {name: value for name, value in found.items() if value is not None}


def from_datasets(
    name: str,
    *,
    train: Any,
    val: Any,
    test: Any,
    collate: Collate | None = None,
    version: str = "",
    classes: int | None = None,
) -> DatasetData:
    """Bind three datasets of anything, whose items are pairs (input, target) or mappings.

    Items are read when they are needed, in the process that needs them. Their contents name the
    runs of a study: they are read once for that, unless `version` names them.

    Args:
        name: What to call the data in reports.
        train: A map-style dataset (items by number, a length), or an iterable one.
        val: Likewise; choices are made on it.
        test: Likewise; scored once.
        collate: From a list of items to a batch; torch's default if None.
        version: What names the contents instead: for iterable datasets, for items that are drawn
            anew each time (augmentation), and for what is too large to be read once more.
        classes: How many classes integer targets have.

    Raises:
        DataError: A split is empty, is the same object as another, cannot be read, or has items
            that come out differently each time although no `version` names them; or a first
            batch is not what `Data` promises.

    Example:
        >>> items = [(torch.tensor([float(i)]), i % 2) for i in range(6)]
        >>> data = from_datasets("mine", train=items, val=items[:2], test=items[2:], classes=2)
        >>> data.size("train"), data.traits()
        (6, {'shape': (1,), 'classes': 2})
        >>> [target.tolist() for inputs, target in data.batches("test", 3)]
        [[0, 1, 0], [1]]
    """
    sets: dict[SplitName, Any] = {"train": train, "val": val, "test": test}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if sets[one] is sets[other]:  # type: ignore[index]
            raise _wrong(name, f"the {other} split", f"the {one} split itself", "other examples")
    for split, held in sets.items():
        if isinstance(held, Mapping) or not (_is_map(held) or isinstance(held, Iterable)):
            raise _wrong(
                name,
                f"the {split} split",
                f"a {type(held).__name__}",
                "a dataset: items by number and a length, or an iterable",
            )
        if isinstance(held, Iterator):
            raise _wrong(
                name,
                f"the {split} split",
                f"a {type(held).__name__}, which can be read once",
                "an iterable that begins anew at every pass",
                "Write a class whose __iter__ makes the iterator.",
            )
        if not _is_map(held) and not version:
            raise _wrong(
                name,
                f"the {split} split",
                "iterable, so that its contents cannot be told before they are needed",
                "a version that names them",
                'Pass version="..." and change it whenever the data change.',
            )
    with same_chance():  # items that draw are read here, and leave no trace in what is drawn later
        sizes = {split: _size(name, split, held) for split, held in sets.items()}
        content = _named(version) if version else _hashed(name, sets)
        data = DatasetData(name, version, sets, sizes, collate or default_collate, classes, content)
        for split in SPLITS:
            _check_first(data, split)
    return data


def _check_first(data: DatasetData, split: SplitName) -> None:
    try:
        next(iter(data.batches(split, min(2, data.size(split)))), None)
    except SecateurError:
        raise
    except Exception as error:  # whatever a dataset or a collate of the user's own raises
        raise _unreadable(data.name, f"the first batch of {split}", error) from error


def _unreadable(name: str, subject: str, error: Exception) -> DataError:
    return _wrong(name, subject, f"unreadable ({words_of(error, 200)})", "an example")


def _is_map(held: Any) -> bool:
    if isinstance(held, IterableDataset):  # it inherits a __getitem__ that only raises
        return False
    return hasattr(held, "__getitem__") and hasattr(held, "__len__")


def _items(held: Any, generator: torch.Generator | None) -> Iterator[Any]:
    if not _is_map(held):
        yield from held
        return
    size = len(held)
    order = range(size) if generator is None else torch.randperm(size, generator=generator).tolist()
    for index in order:
        yield held[index]


def _grouped(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    group: list[Any] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _size(name: str, split: str, held: Any) -> int:
    size = len(held) if hasattr(held, "__len__") else sum(1 for _ in held)
    if not size:
        raise _wrong(name, f"the {split} split", "empty", "at least one example")
    return size


def _named(version: str) -> str:
    return hashlib.sha256(f"version {version}".encode()).hexdigest()


def _hashed(name: str, sets: Mapping[SplitName, Any]) -> str:
    digest = hashlib.sha256()
    for split in SPLITS:
        digest.update(f"{split}\n".encode())
        for index in range(len(sets[split])):
            place = f"item {index} of {split}"
            one = _bytes(name, place, _item(name, place, sets[split], index))
            again = index < _TWICE
            if again and one != _bytes(name, place, _item(name, place, sets[split], index)):
                raise _wrong(
                    name,
                    place,
                    "another each time that it is read",
                    "the same one, or a version that names the data",
                    'Pass version="...", and change it whenever the data change.',
                )
            digest.update(hashlib.sha256(one).digest())
    return digest.hexdigest()


def _item(name: str, place: str, held: Any, index: int) -> Any:
    try:
        return held[index]
    except Exception as error:  # whatever a dataset of the user's own raises
        raise _unreadable(name, place, error) from error


def _bytes(name: str, place: str, item: Any) -> bytes:
    """An item as bytes that depend on its values and types alone."""
    if isinstance(item, Tensor):
        plain = item.detach().cpu().contiguous()
        head = f"tensor {tuple(plain.shape)} {plain.dtype} ".encode()
        return head + (
            plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
        )
    if isinstance(item, numpy.ndarray) and item.dtype.hasobject:  # its bytes are addresses
        return f"array {item.shape} ".encode() + _bytes(name, place, item.tolist())
    if isinstance(item, numpy.ndarray | numpy.generic):
        return f"array {item.shape} {item.dtype} ".encode() + item.tobytes()
    if isinstance(item, Mapping):
        pairs = sorted(item.items(), key=lambda pair: str(pair[0]))
        return b"{" + b",".join(_bytes(name, place, one) for pair in pairs for one in pair) + b"}"
    if isinstance(item, Sequence) and not isinstance(item, str | bytes):
        return b"[" + b",".join(_bytes(name, place, one) for one in item) + b"]"
    if isinstance(item, set | frozenset):  # their order is another in every process
        return b"<" + b",".join(sorted(_bytes(name, place, one) for one in item)) + b">"
    if item is None or isinstance(item, str | bytes | bool | int | float):
        return f"{type(item).__name__} {item!r}".encode()
    try:
        return pickle.dumps(item, protocol=5)
    except Exception:
        raise _wrong(
            name,
            place,
            f"a {type(item).__name__}, whose contents cannot be told",
            "tensors, arrays, numbers and text, or a version that names the data",
            'Pass version="...", and change it whenever the data change.',
        ) from None


def _wrong(
    name: str,
    subject: str,
    given: str,
    expected: str,
    remedy: str = "Mend what is given to from_datasets.",
) -> DataError:
    return DataError(f"checking {name}", subject, given=given, expected=expected, remedy=remedy)
