from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from secateur.errors import MaskError, SecateurError, UnknownNameError
from secateur.pruning.masks import Masks
from secateur.pruning.request import checked_number
from secateur.verbs.prune import prune


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


NUMBERS = {
    "int": 0,
    "float": 0.3,
    "numpy float32": np.float32(0.3),
    "numpy float16": np.float16(0.3),
    "numpy int": np.int64(0),
    "numpy array of no axis": np.array(0.3),
    "tensor": torch.tensor(0.3),
    "tensor of doubles": torch.tensor(0.3, dtype=torch.float64),
    "tensor that learns": torch.tensor(0.3, requires_grad=True),
    "tensor of ints": torch.tensor(0),
    "fraction": Fraction(3, 10),
    "decimal": Decimal("0.3"),
}


@pytest.mark.parametrize("title", list(NUMBERS))
def test_numbers_are_numbers_whoever_made_them(title: str) -> None:
    assert checked_number(NUMBERS[title], "sparsity") == (0 if "int" in title else 0.3)
    assert prune(net(), sparsity=NUMBERS[title]).zeros == (0 if "int" in title else 192)  # type: ignore[arg-type]


NO_SPARSITY = [
    *(True, False, np.True_, torch.tensor(True), "0.5", b"0.5", "", None, 1j, object()),
    *(1, 1.0, 1.5, -0.01, float("nan"), float("inf"), np.float32("nan"), np.int64(1)),
    *(torch.tensor(2.0), torch.empty((), device="meta"), {"0": 1.5}, {3: 0.5}, {}, [], [0.5, 0.5]),
    *([True], [[0.5]], torch.tensor([0.2, 0.3]), np.array(["0.5"]), {0.5, 0.6}),
]


@pytest.mark.parametrize("given", NO_SPARSITY, ids=lambda one: re.sub(r" at 0x.*", "", repr(one)))
def test_what_is_no_sparsity_is_refused_in_our_words(given: object) -> None:
    with pytest.raises(MaskError):
        prune(net(), sparsity=given)  # type: ignore[arg-type]


CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "method": (lambda: prune(net(), "magntude", sparsity=0.5), "'magnitude'"),
    "no text": (lambda: prune(net(), None, sparsity=0.5), "method is None"),  # type: ignore[arg-type]
    "a list": (lambda: prune(net(), ["l1"], sparsity=0.5), "method is"),  # type: ignore[arg-type]
    "scope": (lambda: prune(net(), sparsity=0.5, scope="linear"), "conv, non-conv"),  # type: ignore[arg-type]
    "empty scope": (lambda: prune(net(), sparsity=0.5, scope=""), "conv, non-conv"),  # type: ignore[arg-type]
    "ranking": (lambda: prune(net(), sparsity=0.5, ranking="globl"), "'global'"),  # type: ignore[arg-type]
    "granularity": (
        lambda: prune(net(), "l1-filter", sparsity=0.5, granularity="channels"),
        "'channel'",
    ),
    "granularity that is not used": (
        lambda: prune(net(), sparsity=0.5, granularity="row"),
        "4x4, branch, channel, filter, head, kernel, weight",
    ),
}


@pytest.mark.parametrize("title", list(CALLS))
def test_unknown_words_are_refused(title: str) -> None:
    call, expected = CALLS[title]
    with pytest.raises(UnknownNameError, match=expected):
        call()


def test_previous_may_be_a_plain_dict() -> None:
    before = {"0.weight": torch.arange(512).reshape(32, 16) % 4 > 0}
    masks = prune(net(), sparsity=0.5, previous=before)  # type: ignore[arg-type]
    assert masks.is_within(Masks(before))
    assert masks.zeros == 320


PREVIOUS = {
    "no masks": 3,
    "no bool": {"0.weight": torch.ones(32, 16)},
    "no tensor": {"0.weight": [True]},
    "no text for a name": {0: torch.ones(32, 16, dtype=torch.bool)},
    "another shape": {"0.weight": torch.ones(16, 32, dtype=torch.bool)},
    "another net": {"9.weight": torch.ones(2, 2, dtype=torch.bool)},
}


@pytest.mark.parametrize("title", list(PREVIOUS))
def test_previous_masks_are_checked(title: str) -> None:
    with pytest.raises(SecateurError):
        prune(net(), sparsity=0.5, previous=PREVIOUS[title])  # type: ignore[arg-type]
