"""Stored examples: back as they were where it matters, else drawn, and never trusted."""

import json
from collections import namedtuple
from typing import Any

import pytest
import torch

from secateur.errors import StoreError
from secateur.study.stored_example import example_of, example_values


def back(example: Any) -> Any:
    values = json.loads(json.dumps(example_values(example), allow_nan=False))
    return example_of(values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.complex64])
def test_reals_are_drawn_like_them_and_not_kept(dtype: torch.dtype) -> None:
    given = torch.rand(2, 3, 5).to(dtype)
    found = back(given)
    assert (found.shape, found.dtype) == (given.shape, dtype)
    assert not torch.equal(found, given)
    assert torch.equal(found, back(given))
    assert "values" not in json.dumps(example_values(given))


def test_whole_numbers_and_what_no_batch_is_come_back_as_they_were() -> None:
    given = {
        "ids": torch.tensor([[1, 5, 7], [2, 2, 0]]),
        "mask": torch.tensor([[True, False, True], [True, True, True]]),
        "scale": torch.tensor(0.5),
        "rest": (None, 3, "word", [torch.arange(4, dtype=torch.uint8)]),
    }
    found = back(given)
    assert torch.equal(found["ids"], given["ids"])
    assert torch.equal(found["mask"], given["mask"])
    assert found["scale"] == 0.5
    assert found["rest"][:3] == (None, 3, "word")
    assert torch.equal(found["rest"][3][0], torch.arange(4, dtype=torch.uint8))


PAIR = namedtuple("PAIR", "a b")


@pytest.mark.parametrize(
    "example",
    [
        PAIR(torch.zeros(2), torch.zeros(2)),
        torch.zeros(2, 1 << 16, dtype=torch.int64),
        (torch.zeros(2, 3), torch.full((3,), torch.inf)),
        {1: torch.zeros(2)},
        torch.eye(2).to_sparse(),
        torch.nn.Parameter(torch.zeros(2, 3)),
        (torch.zeros(2), float("nan")),
        (torch.zeros(2), object()),
    ],
)
def test_what_cannot_be_kept_is_not(example: Any) -> None:
    assert example_values(example) is None


def nested(depth: int) -> dict[str, Any]:
    return {"value": 1} if not depth else {"tuple": [nested(depth - 1)]}


@pytest.mark.parametrize(
    "values",
    [
        None,
        [],
        {"tensor": "float32"},
        {"tensor": "system", "shape": [2]},
        {"tensor": "float32", "shape": [65536, 65536]},
        {"tensor": "float32", "shape": [1 << 40]},
        {"tensor": "float32", "shape": ["2"]},
        {"tensor": "float32", "shape": [True]},
        {"tensor": "float32", "shape": [1] * 12},
        {"tensor": "int64", "shape": [2]},
        {"tensor": "int64", "shape": [2], "values": [1]},
        {"tensor": "int64", "shape": [1], "values": ["1"]},
        {"tensor": "uint8", "shape": [1], "values": [1 << 62]},
        {"value": [1]},
        {"tuple": {"value": 1}},
        nested(20),
    ],
)
def test_what_a_store_says_is_checked(values: Any) -> None:
    with pytest.raises(StoreError, match="the note of its example"):
        example_of(values)
