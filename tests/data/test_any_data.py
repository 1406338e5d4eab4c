"""Data of any kind: each way to make them keeps one contract."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

import secateur.data
from secateur.data import external, from_datasets, from_loaders, from_tensors
from secateur.data.data import Data, as_batch, check_data, check_split, count_of
from secateur.data.datasets import DatasetData
from secateur.errors import DataError

X = torch.arange(20.0).reshape(10, 2)
Y = torch.arange(10) % 3
SIZES = {"train": 10, "val": 4, "test": 6}


def rows(split: str) -> slice:
    return slice(0, SIZES[split])


class Items:
    """A map-style dataset."""

    def __init__(self, split: str) -> None:
        self.split = split

    def __len__(self) -> int:
        return SIZES[self.split]

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return X[index], int(Y[index])


class Stream:
    """An iterable one."""

    def __init__(self, split: str) -> None:
        self.split = split

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        held = Items(self.split)
        return (held[index] for index in range(len(held)))


def loader(split: str, size: int, generator: torch.Generator | None) -> Any:
    order = torch.arange(SIZES[split])
    if generator is not None:
        order = torch.randperm(SIZES[split], generator=generator)
    return [(X[part], Y[part]) for part in order.split(size)]


def split_of(kind: type, **more: Any) -> Data:
    sets = {split: kind(split) for split in SIZES}
    return from_datasets("items", classes=3, **sets, **more)


MAKERS = {
    "tensors": lambda: from_tensors(
        "tensors", classes=3, **{s: (X[rows(s)].clone(), Y[rows(s)].clone()) for s in SIZES}
    ),
    "arrays": lambda: from_tensors(
        "arrays", classes=3, **{s: (X[rows(s)].numpy().copy(), Y[rows(s)].numpy()) for s in SIZES}
    ),
    "map-style": lambda: split_of(Items),
    "iterable": lambda: split_of(Stream, version="1"),
    "loaders": lambda: from_loaders(
        "loaders", loader, sizes=SIZES, version="1", example=X[:4],
        traits={"shape": (2,), "classes": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
def test_the_contract(name: str) -> None:
    data: Data = MAKERS[name]()
    assert check_data(data, "testing") is data
    assert data.traits() == {"shape": (2,), "classes": 3}
    assert torch.equal(data.example(2), X[:2])
    for split in ("train", "val", "test"):
        assert data.size(split) == SIZES[split]
        found = list(data.batches(split, 4))
        assert [count_of(batch) for batch in found] == [4] * (SIZES[split] // 4) + [2] * (
            SIZES[split] % 4 > 0
        )
        assert torch.equal(torch.cat([inputs for inputs, _ in found]), X[rows(split)])
        assert torch.equal(torch.cat([target for _, target in found]), Y[rows(split)])


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_shuffles_and_loses_nothing(name: str) -> None:
    data: Data = MAKERS[name]()
    order = [
        torch.cat([x for x, _ in data.batches("train", 3, generator=seeded)])
        for seeded in (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    ]
    assert torch.equal(order[0], order[1])
    assert torch.equal(order[0].sort(0).values, X)
    if name != "iterable":
        assert not torch.equal(order[0], order[2])


@pytest.mark.parametrize("name", MAKERS)
def test_a_fingerprint_is_of_the_contents_or_of_the_version(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = MAKERS[name]()
    assert before.fingerprint() == MAKERS[name]().fingerprint()
    changed = X.clone()
    changed[3, 1] += 1e-3
    monkeypatch.setitem(globals(), "X", changed)
    after = MAKERS[name]()
    assert (before.fingerprint() == after.fingerprint()) == bool(before.version)


def test_items_are_read_once_more_to_see_whether_they_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed, named = (split_of(Items, **more) for more in ({}, {"version": "1"}))
    assert isinstance(hashed, DatasetData)
    assert isinstance(named, DatasetData)
    assert (hashed.reread(), named.reread()) == (hashed.fingerprint(), named.fingerprint())
    changed = X.clone()
    changed[3, 1] += 1e-3
    monkeypatch.setitem(globals(), "X", changed)
    assert hashed.reread() != hashed.fingerprint()
    assert named.reread() == named.fingerprint()


def test_inputs_may_be_several_and_of_any_type() -> None:
    inputs = {"ids": torch.arange(6).reshape(3, 2), "mask": numpy.ones((3, 2), bool)}
    other = {"ids": torch.arange(4).reshape(2, 2), "mask": numpy.ones((2, 2), bool)}
    third = {"ids": torch.arange(8).reshape(4, 2), "mask": numpy.ones((4, 2), bool)}
    data = from_tensors("text", train=(inputs, None), val=(other, None), test=(third, None))
    ((found, target),) = data.batches("val", 8)
    assert found["mask"].dtype == torch.bool
    assert target is None
    assert data.traits() == {}


def test_normalising_uses_the_training_split_alone() -> None:
    data = from_tensors("n", train=(X, Y), val=(X[:2] + 5, Y[:2]), test=(X[:3], Y[:3]),
                        normalise=True)  # fmt: skip
    train = next(iter(data.batches("train", 99)))[0]
    assert torch.allclose(train.mean(0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(train.std(0, correction=0), torch.ones(2))
    scaled = (X[:2] + 5 - X.mean(0)) / X.std(0, correction=0)
    assert torch.allclose(data.example(2), scaled, atol=1e-6)


def test_normalising_is_exact_and_leaves_a_constant_feature_alone() -> None:
    x = torch.tensor([[0.1, 1e16], [0.1, 1.0], [0.1, -1e16]], dtype=torch.float64)
    data = from_tensors("n", train=(x, Y[:3]), val=(x[:2], Y[:2]), test=(x[1:], Y[1:3]),
                        normalise=True)  # fmt: skip
    train = next(iter(data.batches("train", 9)))[0]
    assert train[:, 0].abs().max() < 1e-12
    mean = 1 / 3  # a plain sum of the second feature is 0 or 1, as the order has it
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in (1e16, 1.0, -1e16)) / 3)
    assert train[1, 1].item() == (1.0 - mean) / deviation


class Random(Items):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.rand(2), 0


class Broken(Items):
    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index == 2:
            raise OSError("no disk")
        return super().__getitem__(index)


REFUSED = {
    "the same split twice": (
        lambda: from_tensors("x", train=(X, Y), val=(X, Y), test=(X[:1], Y[:1])),
        "the val split is the train split itself",
    ),
    "first axes": (
        lambda: from_tensors("x", train=(X, Y[:3]), val=(X[:1], Y[:1]), test=(X[:2], Y[:2])),
        "tensors of 3, 10 examples",
    ),
    "empty": (
        lambda: from_tensors("x", train=(X, Y), val=(X[:0], Y[:0]), test=(X[:2], Y[:2])),
        "the val split is empty",
    ),
    "not finite": (
        lambda: from_tensors("x", train=(X / 0, Y), val=(X[:1], Y[:1]), test=(X[:2], Y[:2])),
        "an input of the train split is not finite",
    ),
    "another shape": (
        lambda: from_tensors("x", train=(X, Y), val=(X[:1, :1], Y[:1]), test=(X[:2], Y[:2])),
        r"the val split is \(float32\[1\], int64\[\]\)",
    ),
    "labels of another type": (
        lambda: from_tensors(
            "x", train=(X, X[:, 0]), val=(X[:1], X[:1, 0]), test=(X[:2], X[:2, 0]), classes=3
        ),
        "the target of train is torch.float32",
    ),
    "a label too high": (
        lambda: from_tensors(
            "x", train=(X, Y), val=(X[:1], Y[:1]), test=(X[:2], Y[:2]), classes=2
        ),
        "a label of train is 2",
    ),
    "a label beyond what is left out": (
        lambda: from_tensors(
            "x", train=(X, Y + 300), val=(X[:1], Y[:1]), test=(X[:2], Y[:2]), classes=9
        ),
        "a label of train is 302, expected less than 9",
    ),
    "the same memory in another object": (
        lambda: from_tensors(
            "x", train=({"x": X}, Y), val=({"x": X[:1]}, Y[:1]), test=({"x": X}, Y)
        ),
        "the test split is the train split itself",
    ),
    "a list of numbers": (
        lambda: from_tensors("x", train=(X, Y.tolist()), val=(X[:1], Y[:1]), test=(X, Y)),
        "the target of train is of type int",
    ),
    "text in an array": (
        lambda: from_tensors("x", train=(numpy.array(["a"]), Y), val=(X, Y), test=(X, Y)),
        "an input of train is an array of <U1",
    ),
    "no pair": (
        lambda: from_tensors("x", train=X, val=(X[:1], Y[:1]), test=(X[:2], Y[:2])),  # type: ignore[arg-type]
        "the train split is a Tensor",
    ),
    "random items": (lambda: split_of(Random), 'item 0 of train is another.*version="'),
    "an iterable without a version": (lambda: split_of(Stream), "iterable.*version="),
    "no dataset": (
        lambda: from_datasets("x", train=5, val=[1], test=[2]), "the train split is a int"
    ),
    "what can be read once": (
        lambda: from_datasets("x", version="1", train=iter([1]), val=[1], test=[2]),
        "the train split is a list_iterator, which can be read once",
    ),
    "splits in a mapping": (
        lambda: from_datasets("x", train={0: X}, val=[1], test=[2]), "the train split is a dict"
    ),
    "an item that fails": (
        lambda: split_of(Broken), r"item 2 of train is unreadable \(OSError: no disk\)"
    ),
    "an item that fails, of a version": (
        lambda: split_of(Broken, version="1", collate=lambda items: items[0][99]),
        r"the first batch of train is unreadable \(IndexError",
    ),
    "items that are no pairs": (
        lambda: from_datasets("x", train=[(X, X, X)], val=[X], test=[Y]), "a batch is 3 values"
    ),
    "a label of an item too high": (
        lambda: list(
            from_datasets("x", classes=2, **{s: Items(s) for s in SIZES}).batches("test", 4)
        ),
        "a label of test is 2",
    ),
    "an example without a tensor": (
        lambda: external("x", version="1", example="none"), "the example is a str"
    ),
    "no version": (
        lambda: from_loaders("x", loader, sizes=SIZES, version="", example=X), "the version is ''"
    ),
    "no size": (
        lambda: from_loaders("x", loader, sizes={"train": 1}, version="1", example=X),
        "the size of val is None",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(DataError, match=words):
        make()


class TorchStream(torch.utils.data.IterableDataset[Any]):
    """Such a dataset inherits a `__getitem__` that only raises."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return iter([(X[index], int(Y[index])) for index in range(4)])


def test_a_torch_stream_with_a_length_is_read_as_a_stream() -> None:
    sets: dict[str, Any] = {split: TorchStream() for split in SIZES}
    data = from_datasets("stream", version="1", **sets)
    assert [count_of(batch) for batch in data.batches("val", 3)] == [3, 1]


@pytest.mark.parametrize("kept", [slice(0, 2), slice(0, 3)])
def test_a_pass_that_is_not_the_whole_split_is_refused(kept: slice) -> None:
    def short(split: str, size: int, generator: torch.Generator | None) -> Any:
        return loader(split, size, generator)[kept]

    sizes: Any = {**SIZES, "train": 11}
    data = from_loaders("short", short, sizes=sizes, version="1", example=X)
    with pytest.raises(DataError, match=r"a pass over train is of .* expected 11"):
        list(data.batches("train", 4))


def test_reading_the_data_draws_no_random_numbers() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    split_of(Random, version="1")
    assert torch.equal(torch.rand(1), expected)


def test_contents_are_the_same_bytes_in_every_process() -> None:
    code = (
        "import numpy, torch; from secateur.data import from_datasets\n"
        "items = lambda n: [{'x': torch.ones(1) * n, 'tags': set('abcdefghijk'), "
        "'words': numpy.array(['u', str(n)], object)}]\n"
        "first = lambda items: {'x': items[0]['x']}\n"
        "data = from_datasets('x', train=items(1), val=items(2), test=items(3), collate=first)\n"
        "print(data.fingerprint())"
    )
    here: dict[str, Any] = {}
    exec(code, here)
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    there = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": other},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here["data"].fingerprint()


def test_external_data_are_read_by_nobody_else() -> None:
    data = external("boxes", version="3", example=X[:2])
    assert torch.equal(data.example(1), X[:1])
    with pytest.raises(DataError, match="only a loop of your own reads"):
        next(iter(data.batches("val", 2)))
    assert data.fingerprint() != external("boxes", version="4", example=X[:2]).fingerprint()


def test_a_batch_and_a_split_are_what_they_are() -> None:
    assert as_batch([X, Y], "x") == (X, Y)
    for wrong in (X, (X, Y, Y), "text", {"a": 1}):
        with pytest.raises(DataError, match="a batch is"):
            as_batch(wrong, "x")
    with pytest.raises(DataError, match="a batch is tensors of 3, 10 examples"):
        as_batch((X, Y[:3]), "x")
    with pytest.raises(DataError, match="an input is NaN"):
        as_batch({"x": X, "more": [X / 0]}, "x")
    packed = pack_sequence([X, X[:3]])
    assert count_of(as_batch((packed, Y[:2]), "x")) == 2
    assert check_split("val") == "val"
    with pytest.raises(DataError, match="'valid'"):
        check_split("valid")


def test_images_are_such_data() -> None:
    images: Any = secateur.data.load("shapes", train=10, val=4, test=4, size=8)
    assert id(check_data(images, "testing")) == id(images)
    assert (images.size("val"), images.version) == (4, "")
    batch = next(iter(images.batches("train", 3)))
    assert batch[0].is_contiguous(memory_format=torch.channels_last)
    assert images.traits() == {"shape": images.shape, "classes": images.classes}
