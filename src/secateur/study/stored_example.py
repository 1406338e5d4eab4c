"""Stored example: what a study's network is run on, kept as plain values without its pictures.

A batch of real numbers is kept as its type and shape alone: whoever traces or exports a network
draws others like it, and the examples of a study are nobody else's business. Whole numbers (ids,
masks, lengths) may only be valid as they are, so their values are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, Any

from secateur.foundation.numbers import finite_number
from secateur.study.decoding import damaged

if TYPE_CHECKING:
    from torch import Tensor

    from secateur.foundation.run_example import Inputs

FACT = "example"
"""The fact of the store that holds it."""
ROWS = 2
"""Examples in it: of one alone, a batch would look like a constant."""
_MOST_VALUES = 1 << 16
_LARGEST_AXIS = 1 << 16
_LARGEST = 1 << 28
_AXES = 8
_DEEPEST = 8
_REALS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
_WHOLES = ("bool", "uint8", "int8", "int16", "int32", "int64")
_WHAT = "the note of its example"


def example_values(example: Inputs) -> dict[str, Any] | None:
    """An example as JSON values.

    Args:
        example: A batch of inputs: tensors, also in tuples, lists and maps with plain values.

    Returns:
        None where it holds something else, or too much of what has to be kept as it is.

    Example:
        >>> import torch
        >>> example_values(torch.zeros(2, 3))
        {'tensor': 'float32', 'shape': [2, 3]}
        >>> example_values({"ids": torch.tensor([[4, 7]])})["map"]["ids"]["values"]
        [4, 7]
    """
    from secateur.foundation.run_example import batch_size

    try:
        return _values(example, batch_size(example))
    except TypeError:
        return None


def _values(tree: Any, rows: int) -> dict[str, Any]:
    import torch

    if type(tree) is torch.Tensor and tree.layout == torch.strided and not tree.is_nested:
        return _tensor_values(tree.detach().cpu(), rows)
    if type(tree) in (tuple, list):
        return {type(tree).__name__: [_values(each, rows) for each in tree]}
    if isinstance(tree, Mapping) and all(isinstance(name, str) for name in tree):
        return {"map": {name: _values(each, rows) for name, each in tree.items()}}
    if tree is None or type(tree) in (bool, str) or finite_number(tree) is not None:
        return {"value": tree}
    raise TypeError(f"a {type(tree).__name__} is no plain value")


def _tensor_values(tensor: Tensor, rows: int) -> dict[str, Any]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    said: dict[str, Any] = {"tensor": dtype, "shape": list(tensor.shape)}
    drawn = dtype in _REALS and tensor.dim() > 0 and len(tensor) == rows
    plain = dtype in _WHOLES or (dtype in _REALS[:4] and bool(tensor.isfinite().all()))
    if drawn:
        return said
    if not plain or tensor.numel() > _MOST_VALUES:
        raise TypeError(f"{dtype} of shape {tuple(tensor.shape)} is not kept")
    return {**said, "values": tensor.reshape(-1).tolist()}


def example_of(values: Any) -> Inputs:
    """An example like the one that `example_values` wrote down; reals are drawn, always the same.

    Raises:
        StoreError: They are no such values.

    Example:
        >>> example_of({"tensor": "float32", "shape": [2, 3]}).shape
        torch.Size([2, 3])
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    found: Inputs = _tree(values, generator, _DEEPEST)
    return found


def _tree(values: Any, generator: Any, depth: int) -> Any:
    if not isinstance(values, dict) or not depth:
        raise damaged(_WHAT, "no example")
    match values:
        case {"tensor": str(dtype), "shape": list(shape)}:
            return _tensor(dtype, shape, values.get("values"), generator)
        case {"tuple": list(items)}:
            return tuple(_tree(each, generator, depth - 1) for each in items)
        case {"list": list(items)}:
            return [_tree(each, generator, depth - 1) for each in items]
        case {"map": dict(items)}:
            return {name: _tree(each, generator, depth - 1) for name, each in items.items()}
        case {"value": None | bool() | int() | float() | str() as value}:
            return value
    raise damaged(_WHAT, "no example")


def _tensor(dtype: str, shape: list[Any], values: Any, generator: Any) -> Tensor:
    import torch

    sizes = all(type(size) is int and 0 <= size <= _LARGEST_AXIS for size in shape)
    known = dtype in _REALS or dtype in _WHOLES
    if not known or not sizes or len(shape) > _AXES + 1 or prod(shape) > _LARGEST:
        raise damaged(_WHAT, "of a tensor that cannot be")
    kind: torch.dtype = getattr(torch, dtype)
    if values is None and dtype in _REALS:
        return torch.randn(shape, generator=generator).to(kind)
    if not isinstance(values, list) or len(values) != prod(shape):
        raise damaged(_WHAT, "of a tensor without its values")
    if not all(type(one) in (int, float, bool) for one in values):
        raise damaged(_WHAT, "of values that are no numbers")
    try:
        return torch.tensor(values, dtype=kind).reshape(shape)
    except (RuntimeError, TypeError, ValueError, OverflowError):
        raise damaged(_WHAT, f"of values that are no {dtype}") from None
