"""Output comparison: whether two networks gave the same outputs, up to rounding.

How much rounding there is, is measured: the masked network runs once more with every weight and
input moved by the last bit. So a wrong output of size 1e-6 is seen, and one that is a difference
of large numbers is not taken for wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-10
ROUNDINGS = 100
COARSEST = 1e-2
UNDECIDED = 0.05


def outputs_of(result: Any) -> list[Tensor]:
    """Every tensor and number that a network gave, whatever it is nested in.

    Example:
        >>> [one.tolist() for one in outputs_of({"loss": 0.5, "logits": [torch.ones(1)]})]
        [0.5, [1.0]]
    """
    found: list[Tensor] = []
    seen: set[int] = set()

    def walk(value: Any) -> None:
        if isinstance(value, Tensor):
            found.append(_strided(value.detach()))
        elif isinstance(value, bool | int | float | complex):
            found.append(torch.tensor(value, dtype=_wide_kind(value)))
        elif isinstance(value, str | bytes | type) or value is None or id(value) in seen:
            return
        elif callable(getattr(value, "values", None)) and hasattr(value, "keys"):
            seen.add(id(value))
            for one in value.values():
                walk(one)
        elif isinstance(value, tuple | list):
            for one in value:
                walk(one)
        elif hasattr(value, "__dict__") and not callable(value):
            seen.add(id(value))
            for one in vars(value).values():
                walk(one)

    # By hand: outputs may be objects of the user's own, of which pytree knows nothing.
    walk(result)
    return found


def _wide_kind(value: Any) -> torch.dtype:
    if isinstance(value, complex):
        return torch.complex128
    if isinstance(value, bool):
        return torch.bool
    return torch.int64 if isinstance(value, int) else torch.float64


def _strided(tensor: Tensor) -> Tensor:
    if tensor.is_nested:
        return tensor.to_padded_tensor(0.0)
    if tensor.is_quantized:
        return tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def same(
    given: Sequence[Tensor],
    expected: Sequence[Tensor],
    moved: Callable[[], Sequence[Tensor]] | None = None,
    tolerance: float = TOLERANCE,
) -> bool:
    """Whether two lists of outputs agree, each number relative to others of its own channel.

    Args:
        given: The compact network's.
        expected: The masked network's.
        moved: Gives the masked network's with its numbers moved by the last bit; asked only where
            something differs.
        tolerance: What is rounding in any case.

    Example:
        >>> same([torch.ones(2) + 1e-14], [torch.ones(2)]), same([torch.ones(2)], [torch.zeros(2)])
        (True, False)
    """
    if len(given) != len(expected):
        return False
    pairs = list(zip(given, expected, strict=True))
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
        return False
    excess = [_excess(a, b, tolerance) for a, b in pairs]
    if not any(bool(one.any()) for one in excess):
        return True
    again = moved() if moved is not None else []
    if [one.shape for one in again] != [one.shape for one in expected]:
        return False
    return all(
        not bool(one.any()) or _is_rounding(one, a, b, c)
        for one, (a, b), c in zip(excess, pairs, again, strict=True)
    )


def _excess(given: Tensor, expected: Tensor, tolerance: float) -> Tensor:
    """Bool, where two tensors differ by more than rounding in any case."""
    if not (given.is_floating_point() or given.is_complex()):
        return given != expected
    finite = expected.isfinite()
    unlike = (given.isfinite() != finite) | (~finite & _unlike(given, expected))
    return unlike | (finite & (distance(given, expected) > tolerance * scale(expected)))


def _unlike(given: Tensor, expected: Tensor) -> Tensor:
    """Infinities of another sign; NaN is like NaN."""
    return (given != expected) & ~(given.isnan() & expected.isnan())


def _is_rounding(excess: Tensor, given: Tensor, expected: Tensor, moved: Tensor) -> bool:
    """Whether what differs is what a last bit moves."""
    if not (expected.is_floating_point() or expected.is_complex()):
        undecided = moved != expected
        few = float(undecided.double().mean()) <= UNDECIDED
        return few and not bool((excess & ~undecided).any())
    finite = expected.isfinite()
    if bool(((given.isfinite() != finite) | (~finite & _unlike(given, expected))).any()):
        return False  # no last bit makes a number infinite
    noise = ROUNDINGS * _slices(distance(moved, expected), largest=True)
    size = scale(expected)
    allowed = torch.where(size > 0, torch.minimum(noise, COARSEST * size), noise)
    return not bool((excess & ~(distance(given, expected) <= allowed)).any())


def distance(left: Tensor, right: Tensor) -> Tensor:
    """The size of a difference, zero where either is not finite."""
    apart = (left - right).abs().double()
    return torch.where(apart.isfinite(), apart, 0.0)


def scale(tensor: Tensor) -> Tensor:
    """How large a number is to be thought of: as its own channel is, or as the whole one spreads.

    Of the largest number in its channel (along the second and the last axis) and the spread of
    the whole tensor, the least.
    """
    sizes = tensor.abs().double()
    sizes = torch.where(sizes.isfinite(), sizes, 0.0)
    if sizes.numel() == 0:
        return sizes
    found = _slices(sizes, largest=False)
    spread = _spread(tensor)
    return torch.clamp(found, max=spread) if spread > 0 else found


def _spread(tensor: Tensor) -> float:
    parts = (tensor.real, tensor.imag) if tensor.is_complex() else (tensor,)
    spread = 0.0
    for part in parts:
        finite = part[part.isfinite()]
        if finite.numel():
            spread = max(spread, float(finite.max().double() - finite.min().double()))
    return spread


def _slices(sizes: Tensor, *, largest: bool) -> Tensor:
    """The largest number of the slice along the second axis and of that along the last one."""
    if sizes.dim() < 2 or sizes.numel() == 0:
        top = sizes.max() if sizes.numel() else sizes.new_zeros(())
        return top.expand(sizes.shape)
    over = [
        sizes.amax([other for other in range(sizes.dim()) if other != axis], keepdim=True)
        for axis in {1, sizes.dim() - 1}
    ]
    pick = torch.maximum if largest else torch.minimum
    both = pick(over[0], over[-1])
    return both.expand(sizes.shape)
