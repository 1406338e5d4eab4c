"""Data whose batches a function of the user's own makes, or that only their own loop reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from secateur.data.data import SPLITS, Batch, SplitName, all_of, as_batch, check_split
from secateur.errors import DataError
from secateur.foundation.run_example import batch_size, moved, take_rows

Factory = Callable[[SplitName, int, torch.Generator | None], Iterable[Any]]
"""`factory(split, batch_size, generator)`: a loader that goes through the split once, shuffled by
the generator where there is one."""


@dataclass(frozen=True, eq=False)
class LoaderData:
    """What `from_loaders` and `external` make.

    Attributes:
        name: What to call them in reports.
        version: What names their contents.
        factory: Makes the loaders; None where only the user's own loop reads the data.
        sizes: Split -> how many examples it has.
        inputs: An example of the net's inputs.
        more: What a builder may ask for.
        device: Where batches come.
    """

    name: str
    version: str
    factory: Factory | None
    sizes: Mapping[SplitName, int]
    inputs: Any
    more: Mapping[str, Any] = field(default_factory=dict)
    device: torch.device | str = "cpu"

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the name and the version: the contents are not looked at."""
        return hashlib.sha256(f"{self.name} {self.version}".encode()).hexdigest()

    def size(self, split: SplitName) -> int:
        """How many examples a split has."""
        return self.sizes[check_split(split)]

    def to(self, device: torch.device | str) -> LoaderData:
        """The same data, whose batches come on `device`."""
        return replace(self, device=device)

    def batches(
        self, split: SplitName, batch_size: int, *, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Go through a split once.

        Raises:
            DataError: Only the user's own `train` and `evaluate` can read these data, or the
                batches are not what `Data` promises.
        """
        if self.factory is None:
            raise DataError(
                "reading a batch",
                self.name,
                given="data that only a loop of your own reads",
                expected="data that say how to make batches",
                remedy="Set both `train` and `evaluate` in the study, or make the data with "
                "from_loaders; criteria that look at gradients need batches, too.",
            )
        loader = self.factory(check_split(split), batch_size, generator)
        found = (as_batch(item, self.name) for item in loader)
        for inputs, target in all_of(found, self.name, split, self.size(split)):
            yield moved(inputs, self.device), moved(target, self.device)

    def example(self, count: int = 1) -> Any:
        """The example that was given, as many rows of it as asked for and there are."""
        rows = range(min(count, batch_size(self.inputs)))
        return moved(take_rows(self.inputs, rows), self.device)

    def traits(self) -> dict[str, Any]:
        """What was given for builders."""
        return dict(self.more)


def from_loaders(
    name: str,
    factory: Factory,
    *,
    sizes: Mapping[SplitName, int],
    version: str,
    example: Any,
    traits: Mapping[str, Any] | None = None,
) -> LoaderData:
    """Data by a function that makes a loader: a `DataLoader`, or any iterable of batches.

    Args:
        name: What to call the data in reports.
        factory: `factory(split, batch_size, generator)`; see `Factory`.
        sizes: How many examples each of `train`, `val` and `test` has.
        version: What names their contents; change it whenever they change.
        example: Inputs of a few examples, to trace networks with.
        traits: What a builder may ask for by keyword: `{"classes": 10}`.

    Raises:
        DataError: A size or the version is missing, or the example holds no tensor.

    Example:
        >>> x, y = torch.arange(8.0).reshape(8, 1), torch.arange(8)
        >>> def loader(split, batch_size, generator):
        ...     return zip(x.split(batch_size), y.split(batch_size))
        >>> sizes = {"train": 8, "val": 8, "test": 8}
        >>> data = from_loaders("mine", loader, sizes=sizes, version="1", example=x[:2])
        >>> [len(target) for inputs, target in data.batches("val", 3)]
        [3, 3, 2]
    """
    return _checked(LoaderData(name, version, factory, sizes, example, traits or {}))


def external(
    name: str, *, version: str, example: Any, traits: Mapping[str, Any] | None = None
) -> LoaderData:
    """Data that only the user's own `train` and `evaluate` read.

    Args:
        name: What to call the data in reports.
        version: What names their contents; change it whenever they change.
        example: Inputs of a few examples, to trace networks with.
        traits: What a builder may ask for by keyword.

    Raises:
        DataError: The version is missing.

    Example:
        >>> data = external("boxes", version="1", example=torch.zeros(2, 3, 8, 8))
        >>> data.example(1).shape
        torch.Size([1, 3, 8, 8])
    """
    sizes: dict[SplitName, int] = dict.fromkeys(SPLITS, 1)
    return _checked(LoaderData(name, version, None, sizes, example, traits or {}))


def _checked(data: LoaderData) -> LoaderData:
    if not data.version:
        raise _wrong(
            data.name, "the version", f"{data.version!r}", "a word that names the contents"
        )
    if batch_size(data.inputs) < 1:
        raise _wrong(
            data.name, "the example", f"a {type(data.inputs).__name__}", "inputs of an example"
        )
    for split in SPLITS:
        size = data.sizes.get(split)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise _wrong(data.name, f"the size of {split}", f"{size!r}", "1 or more")
    return data


def _wrong(name: str, subject: str, given: str, expected: str) -> DataError:
    return DataError(
        f"checking {name}",
        subject,
        given=given,
        expected=expected,
        remedy="Mend what is given to the function that makes the data.",
    )
