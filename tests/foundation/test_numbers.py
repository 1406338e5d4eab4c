from typing import Any

import numpy
import pytest
import torch

from secateur.foundation.numbers import plain_numbers


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("written", [0.1, 0.5, 0.9, 0.95])
def test_the_decimal_that_was_written_comes_back(kind: torch.dtype, written: float) -> None:
    (found,) = plain_numbers(torch.tensor([written], dtype=kind))
    assert torch.tensor(found, dtype=kind) == torch.tensor(written, dtype=kind)
    if kind != torch.bfloat16:  # whose shortest decimals are found in single precision
        assert found == written


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (numpy.int64(3), 3),
        (range(2), [0, 1]),
        ({"a": (numpy.float32(0.9), "x")}, {"a": [0.9, "x"]}),
        (numpy.float32("inf"), float("inf")),
        (None, None),
    ],
)
def test_everything_else_is_plain(given: Any, plain: Any) -> None:
    assert plain_numbers(given) == plain
