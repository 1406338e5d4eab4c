"""Ranks: the processes that train one network together, each with a copy of it.

What is chosen for the network is chosen once, by the first rank, and sent to the others: they would
not always choose the same. What has to be the same everywhere is compared by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from secateur.errors import SecateurError, TrainingError
from secateur.foundation.own_error import words_of
from secateur.pruning.masks import Masks
from secateur.pruning.removed import checksums
from secateur.pruning.sharded import is_sharded

_T = TypeVar("_T")
_OPERATION = "training on several devices"
_ALONE = ContextVar("alone", default=False)


def world() -> int:
    """How many ranks train together: 1 where no process group of torch's is up.

    Example:
        >>> world()
        1
    """
    if _ALONE.get() or not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size()


def rank() -> int:
    """Which of them this process is; the first is 0."""
    return distributed.get_rank() if world() > 1 else 0


@contextmanager
def alone() -> Iterator[None]:
    """While it lasts, this process trains a network of its own, whatever group it is in."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def first(make: Callable[[], _T]) -> _T:
    """What the first rank makes, on every rank; the others do not call `make`.

    Every rank has to call this at the same place.

    Args:
        make: Gives something that can be pickled; without tensors on other devices than the CPU.

    Raises:
        SecateurError: What `make` raised on the first rank, on the others, too.

    Example:
        >>> first(lambda: 7)
        7
    """
    if world() == 1:
        return make()
    held: list[object] = [None, None]
    if rank() == 0:
        try:
            held[0] = make()
        except Exception as error:
            held[1] = _sendable(error)
            distributed.broadcast_object_list(held)
            raise
    distributed.broadcast_object_list(held)
    if isinstance(held[1], SecateurError):
        raise held[1]
    return held[0]  # type: ignore[return-value]


def _sendable(error: Exception) -> SecateurError:
    if isinstance(error, SecateurError):
        return error
    return TrainingError(
        _OPERATION,
        "the first rank",
        given=f"stopped by {words_of(error, 200)}",
        expected="one that goes on",
        remedy="Look at its own message.",
    )


def once(make: Callable[[], Masks], model: nn.Module) -> Masks:
    """Masks that the first rank makes, applied on every rank.

    Scores are computed once. A cut may change weights that stay, so every parameter and buffer that
    a rank holds whole is then the first rank's, too. Every rank has to call this at the same place;
    where there is one, it is `make()`.

    Args:
        make: Gives the masks: `lambda: secateur.prune(model, sparsity=0.9)`.
        model: This rank's copy of the network, wrapped or not, or its shards.

    Returns:
        The masks; `masks.freeze(optimizer)` goes on from here.

    Raises:
        SecateurError: What `make` raised on the first rank, on the others, too.
        MaskError: The masks do not fit a rank's network.
        TrainingError: The ranks have not the same masks.

    Example:
        >>> import secateur
        >>> net = nn.Linear(4, 2)
        >>> once(lambda: secateur.prune(net, sparsity=0.5), net).zeros
        4
    """
    if world() == 1:
        return make()
    masks = chosen_once(make)
    for tensor in (*model.parameters(), *model.buffers()):
        if not is_sharded(tensor):
            _take_first(tensor)
    masks.apply(model)
    check_masks_agree(masks)
    return masks


def chosen_once(make: Callable[[], Masks]) -> Masks:
    """Masks that the first rank makes, on every rank; no network is touched.

    Args:
        make: Gives the masks.

    Raises:
        SecateurError: What `make` raised on the first rank, on the others, too.
    """
    if world() == 1:
        return make()
    made: list[Masks] = []

    def make_here() -> Masks:
        made.append(make())
        return _on_cpu(made[0])

    sent = first(make_here)
    return made[0] if made else sent


def _on_cpu(masks: Masks) -> Masks:
    held = Masks({name: mask.cpu() for name, mask in masks.items()}, masks.floored)
    held.report, held.reached = masks.report, masks.reached
    return held


def _take_first(tensor: Tensor) -> None:
    """Write the first rank's values into a tensor."""
    own = tensor.detach()
    # Bytes, in the order of the axes: whatever its type is, and however it lies in memory.
    flat = own.reshape(-1).contiguous().to(_device(own))
    distributed.broadcast(flat.view(torch.uint8), 0)
    own.copy_(flat.view(own.shape))


def _device(tensor: Tensor | None = None) -> torch.device:
    """Where the group sends from: NCCL knows no other memory than a GPU's."""
    if distributed.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu") if tensor is None else tensor.device


def average(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each tensor over all ranks; the same bits on each.

    Example:
        >>> average({"w": torch.ones(1)})
        {'w': tensor([1.])}
    """
    if world() == 1:
        return dict(tensors)
    return {name: total(tensors[name]) / world() for name in sorted(tensors)}


def total(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all ranks; the same bits on each."""
    if world() == 1:
        return tensor
    summed = tensor.detach().to(_device(tensor), copy=True).contiguous()
    distributed.all_reduce(summed)
    return summed.to(tensor.device)


def check_masks_agree(masks: Masks) -> None:
    """Refuse to go on with masks that are not those of the first rank.

    Raises:
        TrainingError: Some rank has others.
    """
    if world() > 1:
        _check_agree("the masks", masks.to_text())


def check_weights_agree(model: nn.Module) -> None:
    """Refuse to go on with weights that are not those of the first rank, bit by bit.

    Raises:
        TrainingError: Some rank has others.
    """
    if world() > 1:
        _check_agree("the weights", repr(sorted(checksums(model).items())))


def _check_agree(what: str, text: str) -> None:
    digest = hashlib.sha256(text.encode()).digest()
    words = [int.from_bytes(digest[at : at + 8], "big", signed=True) for at in range(0, 32, 8)]
    own = torch.tensor(words, device=_device())
    every = [torch.empty_like(own) for _ in range(world())]
    distributed.all_gather(every, own)
    others = [str(number) for number, one in enumerate(every) if not torch.equal(one, every[0])]
    if others:
        raise TrainingError(
            _OPERATION,
            what,
            given=f"not the first rank's on rank {', '.join(others)}",
            expected="the same bits on every rank",
            remedy="Start from the same weights, let each rank do the same steps, and change no "
            "weight on one rank alone.",
        )
