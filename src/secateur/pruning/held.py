"""Held parameters: whose pruned elements are cleared, bit for bit, after gradients and steps."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import TensorWeakRef, WeakTensorKeyDictionary

from secateur.errors import MaskError
from secateur.pruning.sharded import is_sharded, local, local_part

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


class Held:
    """One parameter that is held, and its mask as machine words: all ones where kept.

    There is one for a parameter, whoever freezes it and how often.

    Attributes:
        words: Of the parameter's shape, of a sharded one of the part that is here; zero where it
            is pruned.
        is_sharded: Whether this process holds a part of the parameter only.
        owner: The mark of the freeze that set the words last; never the freeze, which may hold
            what was there before it.
        steppers: The optimizers after whose steps it is cleared.
    """

    def __init__(self, parameter: nn.Parameter, words: Tensor) -> None:
        self._parameter = TensorWeakRef(parameter)
        self.words = words
        self.is_sharded = is_sharded(parameter)
        self.owner: Owner | None = None
        self.steppers: list[Clearing] = []
        self._handle: RemovableHandle | None = None
        self.watch()
        _HELD[parameter] = self

    def watch(self) -> None:
        """Clear gradients from now on, once the parameter has any."""
        parameter = self._parameter()
        if parameter is not None and parameter.requires_grad and self._handle is None:
            register: Any = parameter.register_post_accumulate_grad_hook
            self._handle = register(self._clear_gradient)

    def holds(self, parameter: Tensor) -> bool:
        """Whether this is the parameter that is held."""
        return self._parameter() is parameter

    @property
    def is_alive(self) -> bool:
        """Whether the parameter is still there."""
        return self._parameter() is not None

    def belong(self, to: Held) -> None:
        """Be held by the freeze, and cleared after the steps, that another parameter is."""
        self.owner = to.owner
        if self.owner is not None:
            self.owner.held.append(self)
        for stepper in to.steppers:
            stepper.add(self)

    def narrow(self, kept: Tensor) -> None:
        """Hold at zero what is not kept here, too."""
        parameter = self._parameter()
        if parameter is not None:
            part = local_part(kept, parameter)
            self.words = self.words.masked_fill(~part.to(self.words.device), 0)

    def clear(self) -> None:
        """Write +0 into every pruned element of the parameter now."""
        parameter = self._parameter()
        if parameter is not None:
            self._clear(parameter)

    def clear_gradient(self) -> None:
        """The same for a gradient that is there already."""
        parameter = self._parameter()
        if parameter is not None:
            self._clear_gradient(parameter)

    def release(self) -> None:
        """Let the parameter train again."""
        parameter = self._parameter()
        if parameter is not None:
            _HELD.pop(parameter, None)
        self.owner = None
        if self._handle is not None:
            self._handle.remove()
        for stepper in self.steppers:
            stepper.drop(self)
        self.steppers = []

    def _clear_gradient(self, parameter: Tensor) -> None:
        gradient = parameter.grad
        if gradient is None:
            return
        if is_sharded(gradient):
            self._check_laid_out(parameter, gradient)
        if gradient.layout == torch.sparse_coo:
            parameter.grad = self._cleared_sparse(gradient)
        elif gradient.layout != torch.strided:
            parameter.grad = gradient.to_dense()
            self._clear(parameter.grad)
        else:
            self._clear(gradient)

    def _clear(self, tensor: Tensor) -> None:
        # An AND of the bits clears NaN, infinity and -0 as well; a product would keep all three.
        here = local(tensor)
        bits, words = _bits(here), self._words_for(here)
        bits.bitwise_and_(words.unsqueeze(-1) if bits.ndim > words.ndim else words)

    def _check_laid_out(self, parameter: Any, gradient: Any) -> None:
        """Refuse a gradient whose local part is of other elements than the parameter's."""
        if not self.is_sharded or gradient.placements != parameter.placements:
            raise MaskError(
                "holding pruned weights",
                "the gradient of a frozen parameter",
                given=f"laid out as {', '.join(map(repr, gradient.placements))}",
                expected="laid out as the parameter is",
                remedy="Redistribute it to the parameter's placements before it is accumulated.",
            )

    def _cleared_sparse(self, gradient: Tensor) -> Tensor:
        gradient = gradient.coalesce()
        words = self._words_for(gradient)[tuple(gradient.indices())]
        bits = _bits(gradient.values())
        bits.bitwise_and_(words.unsqueeze(-1) if bits.ndim > words.ndim else words)
        return gradient

    def _words_for(self, tensor: Tensor) -> Tensor:
        """The words on the device and of the size of a tensor: a model may have been moved."""
        if tensor.shape != self.words.shape:
            raise reshaped("a frozen parameter", tensor, self.words)
        kind = _word_type(tensor)
        if self.words.device != tensor.device or self.words.dtype != kind:
            self.words = words_of(self.words != 0, tensor)
        return self.words


class Clearing(Protocol):
    """What clears parameters after an optimizer's steps."""

    def add(self, held: Held) -> None:
        """Clear it after every step."""

    def drop(self, held: Held) -> None:
        """Do so no more."""


class Owner:
    """The mark of one freeze, and what it holds: parameters that took others' place, too."""

    def __init__(self) -> None:
        self.held: list[Held] = []


_HELD: MutableMapping[Tensor, Held] = WeakTensorKeyDictionary()


def held_of(parameter: Tensor) -> Held | None:
    """What holds a parameter; None if nothing does."""
    return _HELD.get(parameter)


def reshaped(subject: str, tensor: Tensor, words: Tensor) -> MaskError:
    """The error that a frozen parameter has another shape than its mask."""
    return MaskError(
        "holding pruned weights",
        subject,
        given=f"of shape {tuple(tensor.shape)} by now",
        expected=f"{tuple(words.shape)}, as when it was frozen",
        remedy="Call remove() on the freeze before the network's shapes change.",
    )


def _word_type(tensor: Tensor) -> torch.dtype:
    size = tensor.element_size()
    return _BITS[size // 2 if tensor.is_complex() else size]


def _bits(tensor: Tensor) -> Tensor:
    """A tensor's memory as integers; of complex numbers, with one more axis of two."""
    kind = _word_type(tensor)
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).view(kind)


def words_of(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as words, on the device, of the word size and of the memory layout of a tensor.

    Of a sharded one the words of the part that is here.
    """
    mask, like = local_part(mask, like), local(like)
    kind = _word_type(like)
    if like.layout == torch.strided:
        words = torch.zeros_like(like, dtype=kind)
    else:
        words = torch.zeros(like.shape, dtype=kind, device=like.device)
    return words.masked_fill_(mask.to(like.device), -1)
