from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from secateur.channels.labels.signature import in_places

X, Y, Z = torch.zeros(2, 3, 4), torch.zeros(2, 4, 3), torch.zeros(2, 3, 3)


@pytest.mark.parametrize(
    ("func", "args", "kwargs", "places"),
    [
        (torch.flatten, (), {"input": X, "start_dim": 2}, (X, 2)),
        (Tensor.transpose, (X,), {"dim0": 1, "dim1": 2}, (X, 1, 2)),
        (torch.matmul, (), {"input": X, "other": Y}, (X, Y)),
        (torch.baddbmm, (Z,), {"batch1": X, "batch2": Y}, (Z, X, Y)),
        (torch.sum, (X,), {"axis": 1, "keepdims": True}, (X, 1, True)),
        (torch.narrow, (X,), {"dim": 1, "start": 0, "length": 2}, (X, 1, 0, 2)),
        (functional.linear, (), {"input": X, "weight": X[0]}, (X,)),
        (functional.softmax, (X,), {"dim": 1}, (X, 1)),
        (Tensor.clamp_, (X,), {"max": 0}, (X, None, 0)),
        (torch.where, (), {"condition": X > 0, "input": X, "other": X}, ()),
    ],
)
def test_what_is_passed_by_name_is_put_in_its_place(func, args, kwargs, places) -> None:
    placed, left = in_places(func, args, kwargs)
    assert not left
    assert all(a is b or a == b for a, b in zip(placed, places, strict=False))
    assert func(*args, **kwargs).shape == func(*placed).shape


def test_what_has_no_place_stays_by_name() -> None:
    placed, left = in_places(torch.baddbmm, (X,), {"batch1": X, "batch2": X, "beta": 0.5})
    assert (len(placed), left) == (3, {"beta": 0.5})
    assert in_places(torch.zeros, (2,), {"nonsense": 1}) == ((2,), {"nonsense": 1})
