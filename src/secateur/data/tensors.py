"""Tensors in memory, of any shape and type: tables, sequences, sound, token ids."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, ClassVar

import numpy
import torch
from torch import Tensor

from secateur.data.data import Batch, SplitName, check_labels, check_split
from secateur.errors import DataError
from secateur.foundation.run_example import each_tensor, tensors_in


@dataclass(frozen=True, eq=False)
class TensorData:
    """Three splits of tensors; make them with `from_tensors`, which checks them.

    Attributes:
        name: What to call them in reports.
        splits: Split -> inputs and target, whose first axes are the examples.
        classes: How many classes the targets have; None where they have none.
    """

    version: ClassVar[str] = ""

    name: str
    splits: Mapping[SplitName, Batch]
    classes: int | None = None

    def fingerprint(self) -> str:
        """SHA-256, in hex, of every tensor of every split, with its shape, type and place."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for split, batch in self.splits.items():
            digest.update(f"{split} {_structure(batch)}\n".encode())
            for one in tensors_in(batch):
                digest.update(f"{tuple(one.shape)} {one.dtype}\n".encode())
                plain = one.detach().cpu().contiguous().reshape(-1)
                digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
        return digest.hexdigest()

    def size(self, split: SplitName) -> int:
        """How many examples a split has."""
        return len(tensors_in(self.splits[check_split(split)])[0])

    def to(self, device: torch.device | str) -> TensorData:
        """The same data with every tensor on `device`."""
        moved = {
            split: each_tensor(batch, lambda one: one.to(device))
            for split, batch in self.splits.items()
        }
        return replace(self, splits=moved)

    def batches(
        self, split: SplitName, batch_size: int, *, generator: torch.Generator | None = None
    ) -> Iterator[Batch]:
        """Go through a split once; the order is drawn on the CPU, from the generator."""
        held = self.splits[check_split(split)]
        size, device = self.size(split), tensors_in(held)[0].device
        order = None if generator is None else torch.randperm(size, generator=generator).to(device)
        for start in range(0, size, batch_size):
            rows = slice(start, start + batch_size)
            chosen = rows if order is None else order[rows]
            yield each_tensor(held, itemgetter(chosen))

    def example(self, count: int = 1) -> Any:
        """The inputs of the first `count` validation examples."""
        return each_tensor(self.splits["val"][0], lambda one: one[:count])

    def traits(self) -> dict[str, Any]:
        """`shape` of one example where the inputs are one tensor, and `classes` where known."""
        inputs = self.splits["train"][0]
        found: dict[str, Any] = {} if self.classes is None else {"classes": self.classes}
        return {
            **({"shape": tuple(inputs.shape[1:])} if isinstance(inputs, Tensor) else {}),
            **found,
        }


def from_tensors(
    name: str,
    *,
    train: tuple[Any, Any],
    val: tuple[Any, Any],
    test: tuple[Any, Any],
    classes: int | None = None,
    normalise: bool = False,
) -> TensorData:
    """Bind three splits of tensors.

    Args:
        name: What to call the data in reports.
        train: Inputs and target. Inputs are a tensor or a NumPy array, a tuple of them (positional
            arguments of the net) or a mapping (keyword arguments); the target likewise, or None
            where the inputs hold it (`labels`). The first axis of each is the examples.
        val: Likewise; choices are made on it.
        test: Likewise; scored once.
        classes: How many classes integer targets have.
        normalise: Shift and scale each real input to mean 0 and deviation 1, a feature (the last
            axis) at a time, by the training split's own.

    Raises:
        DataError: A split is empty or is another's own tensors, first axes differ, an input is not
            finite, something is no tensor, or a label is outside the classes.

    Example:
        >>> x, y = torch.arange(12.0).reshape(6, 2), torch.arange(6.0)
        >>> data = from_tensors("mine", train=(x, y), val=(x[:2], y[:2]), test=(x[2:], y[2:]))
        >>> data.traits(), data.size("test")
        ({'shape': (2,)}, 4)
        >>> [tuple(inputs.shape) for inputs, target in data.batches("train", 4)]
        [(4, 2), (2, 2)]
    """
    given: dict[SplitName, Any] = {"train": train, "val": val, "test": test}
    splits = {split: _tensors(name, split, pair) for split, pair in given.items()}
    _check_apart(name, splits)
    for split, batch in splits.items():
        _check_split(name, split, batch, splits["train"])
        for labels in tensors_in(batch[1]) if classes is not None else ():
            check_labels(name, split, labels, classes)  # type: ignore[arg-type]
    if normalise:
        splits = _normalised(splits)
    return TensorData(name, splits, classes)


def _tensors(name: str, split: str, pair: object) -> Batch:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise _wrong(name, f"the {split} split", f"a {type(pair).__name__}", "(inputs, target)")
    target = None if pair[1] is None else _as_tensors(name, f"the target of {split}", pair[1])
    return _as_tensors(name, f"an input of {split}", pair[0]), target


def _as_tensors(name: str, place: str, tree: Any) -> Any:
    if isinstance(tree, Tensor):
        return tree
    if isinstance(tree, numpy.ndarray):
        try:
            return torch.from_numpy(numpy.ascontiguousarray(tree))
        except TypeError:  # text, objects, dates
            raise _wrong(name, place, f"an array of {tree.dtype}", "numbers") from None
    if isinstance(tree, Mapping):
        return {str(key): _as_tensors(name, place, value) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(_as_tensors(name, place, value) for value in tree)
    raise _wrong(name, place, f"of type {type(tree).__name__}", "a tensor or a NumPy array")


def _check_apart(name: str, splits: Mapping[SplitName, Batch]) -> None:
    """Splits never mix: the same memory is not two of them."""
    held = {split: _places(batch[0]) for split, batch in splits.items()}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        if held[one] and held[one] == held[other]:  # type: ignore[index]
            raise _wrong(name, f"the {other} split", f"the {one} split itself", "other examples")


def _places(inputs: Any) -> list[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    filled = [one for one in tensors_in(inputs) if one.numel()]
    return [(one.data_ptr(), tuple(one.shape), one.stride()) for one in filled]


def _check_split(name: str, split: str, batch: Batch, train: Batch) -> None:
    tensors = tensors_in(batch)
    if not tensors_in(batch[0]) or any(one.dim() == 0 for one in tensors):
        raise _wrong(name, f"the {split} split", "without a tensor of examples", "tensors")
    sizes = {len(one) for one in tensors}
    if len(sizes) > 1:
        found = ", ".join(map(str, sorted(sizes)))
        raise _wrong(name, f"the {split} split", f"tensors of {found} examples", "as many in each")
    if sizes == {0}:
        raise _wrong(name, f"the {split} split", "empty", "at least one example")
    if _structure(batch) != _structure(train):
        raise _wrong(name, f"the {split} split", _structure(batch), f"{_structure(train)} as train")
    for one in tensors_in(batch[0]):
        if one.is_floating_point() and not bool(torch.isfinite(one).all()):
            raise _wrong(name, f"an input of the {split} split", "not finite", "finite numbers")


def _structure(tree: Any) -> str:
    """What a split is made of, but for its number of examples."""
    if isinstance(tree, Tensor):
        return f"{str(tree.dtype).removeprefix('torch.')}[{', '.join(map(str, tree.shape[1:]))}]"
    if isinstance(tree, Mapping):
        return "{" + ", ".join(f"{key}: {_structure(value)}" for key, value in tree.items()) + "}"
    if isinstance(tree, tuple):
        return "(" + ", ".join(map(_structure, tree)) + ")"
    return "none" if tree is None else type(tree).__name__


def _normalised(splits: Mapping[SplitName, Batch]) -> dict[SplitName, Batch]:
    scales = [
        _mean_and_deviation(one) if one.is_floating_point() else None
        for one in tensors_in(splits["train"][0])
    ]
    made: dict[SplitName, Batch] = {}
    for split, (inputs, target) in splits.items():
        left = iter(scales)

        def scaled(one: Tensor, left: Iterator[tuple[Tensor, Tensor] | None] = left) -> Tensor:
            scale = next(left)
            if scale is None:
                return one
            mean, deviation = (own.to(one.device) for own in scale)
            return ((one.double() - mean) / deviation).to(one.dtype)

        made[split] = (each_tensor(inputs, scaled), target)
    return made


def _mean_and_deviation(one: Tensor) -> tuple[Tensor, Tensor]:
    """Of each feature, float64; a feature that never varies has deviation 1.

    Sums are exact and rounded once, so that they are the same bits on every machine and with any
    number of threads.
    """
    features = one.detach().cpu().double().reshape(-1, one.shape[-1] if one.dim() > 1 else 1).T
    means, deviations = [], []
    for values in features:
        mean = math.fsum(values.tolist()) / len(values)
        variance = math.fsum((values - mean).square().tolist()) / len(values)
        varies = bool((values != values[0]).any())
        means.append(mean)
        deviations.append(math.sqrt(variance) or 1.0 if varies else 1.0)
    return torch.tensor(means, dtype=torch.float64), torch.tensor(deviations, dtype=torch.float64)


def _wrong(name: str, subject: str, given: str, expected: str) -> DataError:
    return DataError(
        f"checking {name}",
        subject,
        given=given,
        expected=expected,
        remedy="Mend what is given to from_tensors.",
    )
