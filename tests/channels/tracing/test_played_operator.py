from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from secateur.channels.labels.op_names import operator_name
from secateur.channels.tracing import played_operator
from secateur.channels.tracing.played_operator import play


def meta(*shape: int, **more: Any) -> Tensor:
    return torch.empty(shape, device="meta", **more)


def looks(result: Any) -> list[tuple[Any, ...]]:
    tensors = [result] if isinstance(result, Tensor) else list(result)
    return [(tuple(one.shape), one.stride(), one.dtype, one.is_meta) for one in tensors]


CALLS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any]]] = {
    "a product": (torch.matmul, (meta(2, 3), meta(3, 5)), {}),
    "a view with other strides": (Tensor.transpose, (meta(2, 3), 0, 1), {}),
    "an expansion": (Tensor.expand, (meta(2, 1), 2, 7), {}),
    "several": (torch.split, (meta(6, 2), [1, 5]), {}),
    "a slice": (Tensor.__getitem__, (meta(6, 2), (slice(1, 4), ..., None)), {}),
    "another type": (Tensor.sum, (meta(6, 2, dtype=torch.bool),), {"dim": 0}),
    "a function in Python": (
        functional.grid_sample,
        (meta(1, 2, 4, 4), meta(1, 3, 3, 2)),
        {"align_corners": False},
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_kept_looks_like_what_the_operator_gave(call: str) -> None:
    func, args, kwargs = CALLS[call]
    expected = looks(func(*args, **kwargs))
    for _ in range(3):
        assert looks(play(operator_name(func), func, args, kwargs)) == expected


def test_numbers_shapes_and_types_tell_calls_apart() -> None:
    tensor = meta(4, 6)
    assert play("sum", torch.sum, (tensor, 0), {}).shape == (6,)
    assert play("sum", torch.sum, (tensor, 1), {}).shape == (4,)
    assert play("sum", torch.sum, (meta(6, 6), 0), {}).shape == (6,)
    assert play("sum", torch.sum, (meta(4, 6).int(), 0), {}).dtype == torch.int64
    assert play("sum", torch.sum, (tensor, 0, True), {}).shape == (1, 6)


def test_what_gives_its_own_argument_gives_it_again() -> None:
    tensor = meta(4, 6)
    for _ in range(2):
        assert play("contiguous", Tensor.contiguous, (tensor,), {}) is not None
        view = play("view_as", Tensor.view_as, (tensor, tensor), {})
        assert view.shape == (4, 6)
        assert play("squeeze", Tensor.squeeze_, (tensor,), {}) is tensor


def test_a_call_that_fails_fails_again() -> None:
    for _ in range(2):
        with pytest.raises(RuntimeError, match="a and b must have same reduction dim"):
            play("matmul", torch.matmul, (meta(2, 3), meta(4, 5)), {})


def test_a_function_of_the_user_is_never_kept() -> None:
    calls = []

    def own(tensor: Tensor) -> Tensor:
        calls.append(tensor)
        return torch.empty_like(tensor)

    before = len(played_operator._known)
    for _ in range(2):
        play("own", own, (meta(4),), {})
    assert len(calls) == 2
    assert len(played_operator._known) == before
