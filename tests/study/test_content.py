"""What a value holds is its digest: the same in every process, another for another value."""

import functools
import io
import os
import subprocess
import sys
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import nn

from secateur.study.content import Contents

SCALE = 2.0


def of(value: object) -> str:
    return Contents().of(value)


def bound(value: object) -> Callable[[], object]:
    return lambda: value


class Config:
    factor = 1

    def __init__(self, width: object) -> None:
        self.width = width

    def build(self) -> object:
        return self.width


class Slotted:
    __slots__ = ("width",)

    def __init__(self, width: object) -> None:
        self.width = width


class Colour(Enum):
    RED = 1
    BLUE = 2


def with_default(value: object) -> Callable[..., object]:
    def build(width: object = value, *, depth: object = value) -> object:
        return width, depth

    return build


def decorated(value: object) -> Callable[..., object]:
    def wrap(function: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(function)
        def inner() -> object:
            return value, function()

        return inner

    return wrap(bound(0))


WAYS: dict[str, Callable[[Any], object]] = {
    "closure": bound,
    "closure of a closure": lambda value: bound(bound(value)),
    "default": with_default,
    "decorator": decorated,
    "argument of a partial": lambda value: functools.partial(bound(0), value),  # type: ignore[call-arg]
    "keyword of a partial": lambda value: functools.partial(bound(0), width=value),  # type: ignore[call-arg]
    "object": Config,
    "bound method": lambda value: Config(value).build,
    "object with slots": Slotted,
    "class attribute": lambda value: type("Net", (), {"width": value}),
    "class attribute of a base": lambda value: type("Net", (type("B", (), {"w": value}),), {}),
    "list": lambda value: [value],
    "map": lambda value: {"width": value},
    "tuple in a set": lambda value: {(value,)},
    "array": lambda value: numpy.array([value]),
    "tensor": lambda value: torch.tensor([value]),
    "layer in a list": lambda value: [nn.Linear(1, value)],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_held_tells_apart_and_where_it_lies_does_not(way: Callable[[Any], object]) -> None:
    torch.manual_seed(0)
    one = way(3)
    torch.manual_seed(0)
    assert of(one) == of(way(3))
    assert of(one) != of(way(4))


def test_kinds_of_numbers_and_words_differ() -> None:
    values = [1, 1.0, True, "1", b"1", None, (1,), [1], {1}, Colour.RED, Colour.BLUE]
    values += [torch.float32, torch.float16, Path("a"), torch.tensor(1), torch.tensor(1.0)]
    assert len({of(value) for value in values}) == len(values)


def test_a_global_that_a_function_reads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> float:
        return SCALE

    before = of(build)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert of(build) != before


def test_what_was_put_into_torch_from_outside_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def build() -> object:
        return nn.functional.relu

    before, kind = of(build), of(nn.ReLU)
    monkeypatch.setattr(nn.functional, "relu", lambda x: x)
    assert of(build) != before
    monkeypatch.setattr(nn.ReLU, "forward", lambda _, x: x)
    assert of(nn.ReLU) != kind


@pytest.mark.filterwarnings("ignore:Sparse CS. tensor support")
@pytest.mark.filterwarnings("ignore:.*quantiz")
def test_what_a_repr_cuts_short_counts() -> None:
    """Sparse and quantized tensors, and what is pickled with more than it shows."""
    many = torch.ones(5000)
    other = many.clone()
    other[2500] = 2
    for kind in (
        lambda x: x.to_sparse(),
        lambda x: x.reshape(50, 100).to_sparse_csr(),
        lambda x: x.reshape(50, 100).to_sparse_csc(),
        lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
    ):
        assert of(kind(many)) == of(kind(many.clone()))
        assert of(kind(many)) != of(kind(other))
    assert of(io.BytesIO(b"1")) == of(io.BytesIO(b"1")) != of(io.BytesIO(b"2"))


def test_code_that_stands_in_no_file_counts() -> None:
    def made(text: str) -> object:
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(text, names)
        return names["build"]

    assert of(made("def build(): return 1")) == of(made("\n\ndef build(): return 1  # why"))
    assert of(made("def build(): return 1")) != of(made("def build(): return 2"))
    inner = "def build():\n def inner(): return {}\n return inner"
    assert of(made(inner.format(1))) != of(made(inner.format(2)))
    assert of(made("build = lambda x: x + 1")) != of(made("build = lambda x: x - 1"))


def test_circles_and_depth_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert of(loop)
    assert of(deep)


def test_what_cannot_be_looked_into_is_its_type() -> None:
    class Odd:
        __slots__ = ()

        def __repr__(self) -> str:
            raise ValueError

    assert of(Odd()) == of(Odd())
    assert of(object()) == of(object())
    assert of(torch.Generator()) == of(torch.Generator())
    lazy = nn.LazyLinear(3)
    assert of(lazy.weight) == of(nn.LazyLinear(3).weight)


def test_it_is_the_same_in_every_process() -> None:
    code = (
        "from secateur.study.content import Contents\n"
        "def build(sizes=frozenset(('a', 'b', 'c')), **kw): return {'x', 'y', 'z'}\n"
        "said = Contents().of([build, {'a': {'b', 'c', 'd'}}, object()])\n"
    )
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(code, names)
    there = subprocess.run(
        [sys.executable, "-c", code + "print(said)"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert there.stdout.strip() == names["said"]


class Remembers:
    """As configurations of `transformers` do: the hash of their text at the start."""

    def __init__(self, number: int, words: str) -> None:
        self._original_object_hash = number
        self.words = words


def test_what_hash_gave_is_no_content() -> None:
    one, other = (Contents().of(Remembers(number, "same")) for number in (1, 2))
    assert one == other
    assert one != Contents().of(Remembers(1, "other"))
