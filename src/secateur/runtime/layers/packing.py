"""Packs for sparse weights, made when first needed and again when the weight has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from secateur.runtime.kernels import kernels, packs
from secateur.runtime.kernels.packs import Pack
from secateur.runtime.layers.weights import restore

# A layer that sees many sizes of batches or images keeps this many packs, the latest used.
PACKS_OF_A_WEIGHT = 8
_LARGEST_BATCH = 64

_lock = threading.Lock()
_packs: MutableMapping[Tensor, dict[tuple[Any, ...], tuple[Any, Pack]]] = WeakTensorKeyDictionary()


def tuned_batch(batch: int) -> int:
    """The batch size to pack for: the next power of two, so that few packs serve all sizes.

    Example:
        >>> [tuned_batch(batch) for batch in (1, 3, 33, 1000)]
        [1, 4, 64, 64]
    """
    return min(_LARGEST_BATCH, 1 << max(batch - 1, 0).bit_length())


def linear_pack(
    values: Tensor, positions: Tensor, bias: Tensor | None, size: list[int], batch: int
) -> Pack:
    """The pack of a linear layer for batches of about this size."""
    batch = tuned_batch(batch)

    def pack() -> Pack:
        return packs.pack_linear(_dense(values, positions, size), _numbers(bias), batch=batch)

    return _kept(values, positions, bias, ("linear", *size, batch), pack)


def conv2d_pack(
    values: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    size: list[int],
    *,
    height: int,
    width: int,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    batch: int,
) -> Pack:
    """The pack of a convolution for images of this size and batches of about this size."""
    batch = tuned_batch(batch)
    top, bottom, left, right = padding

    def pack() -> Pack:
        return packs.pack_conv2d(
            _dense(values, positions, size),
            _numbers(bias),
            height=height,
            width=width,
            stride=(stride[0], stride[1]),
            padding=(top, bottom, left, right),
            dilation=(dilation[0], dilation[1]),
            batch=batch,
        )

    key = ("conv2d", *size, height, width, *stride, *padding, *dilation, batch)
    return _kept(values, positions, bias, key, pack)


def _kept(
    values: Tensor,
    positions: Tensor,
    bias: Tensor | None,
    key: tuple[Any, ...],
    pack: Callable[[], Pack],
) -> Pack:
    """The pack of before, unless a tensor was changed in place since, or the ISA.

    Packs hang on the `values` tensor itself, weakly: they go with it, and no other tensor that is
    given the same memory later can be taken for it.
    """
    seen = (_state(values), _state(positions), _state(bias), kernels.isa())
    with _lock:
        packs = _packs.setdefault(values, {})
        known = packs.pop(key, None)
        if known is None or known[0] != seen:
            known = (seen, pack())
        packs[key] = known
        while len(packs) > PACKS_OF_A_WEIGHT:
            del packs[next(iter(packs))]
    return known[1]


def _state(tensor: Tensor | None) -> tuple[int, int, int]:
    """What changes when a tensor does; one made in inference mode does not count its changes."""
    if tensor is None:
        return 0, 0, 0
    version = -1 if tensor.is_inference() else tensor._version
    return id(tensor), tensor.data_ptr(), version


def _dense(values: Tensor, positions: Tensor, size: list[int]) -> Any:
    return restore(values.detach(), positions, size).numpy()


def _numbers(bias: Tensor | None) -> Any:
    return None if bias is None else bias.detach().numpy()


def scratch(count: int) -> Tensor:
    """Scratch memory of this thread alone, kept from call to call."""
    kept: Tensor | None = getattr(_own, "scratch", None)
    if kept is None or kept.numel() < count:
        kept = _own.scratch = torch.empty(count, dtype=torch.uint8)
    return kept


_own = threading.local()
