"""Freezing: pruned elements stay bitwise zero through training, whatever the optimizer."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import TensorWeakRef, WeakIdKeyDictionary, WeakTensorKeyDictionary

from secateur.errors import MaskError
from secateur.pruning.naming import masked_parameters
from secateur.pruning.optimizers import after_step, trained_by, wrapped

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


class _Held:
    """One parameter that is held, and its mask as machine words: all ones where kept.

    There is one for a parameter, whoever freezes it and how often.

    Attributes:
        words: Of the parameter's shape; zero where it is pruned.
        owner: The mark of the freeze that set the words last; never the freeze, which may hold
            what was there before it.
    """

    def __init__(self, parameter: nn.Parameter, words: Tensor) -> None:
        self._parameter = TensorWeakRef(parameter)
        self.words = words
        self.owner: object = None
        self.steppers: list[_Stepper] = []
        self._handle: RemovableHandle | None = None
        if parameter.requires_grad:
            register: Any = parameter.register_post_accumulate_grad_hook
            self._handle = register(self._clear_gradient)

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
        if gradient.layout == torch.sparse_coo:
            parameter.grad = self._cleared_sparse(gradient)
        elif gradient.layout != torch.strided:
            parameter.grad = gradient.to_dense()
            self._clear(parameter.grad)
        else:
            self._clear(gradient)

    def _clear(self, tensor: Tensor) -> None:
        # An AND of the bits clears NaN, infinity and -0 as well; a product would keep all three.
        bits, words = _bits(tensor.detach()), self._words_for(tensor)
        bits.bitwise_and_(words.unsqueeze(-1) if bits.ndim > words.ndim else words)

    def _cleared_sparse(self, gradient: Tensor) -> Tensor:
        gradient = gradient.coalesce()
        words = self._words_for(gradient)[tuple(gradient.indices())]
        bits = _bits(gradient.values())
        bits.bitwise_and_(words.unsqueeze(-1) if bits.ndim > words.ndim else words)
        return gradient

    def _words_for(self, tensor: Tensor) -> Tensor:
        """The words on the device and of the size of a tensor: a model may have been moved."""
        if tensor.shape != self.words.shape:
            raise MaskError(
                "holding pruned weights",
                "a frozen parameter",
                given=f"of shape {tuple(tensor.shape)} by now",
                expected=f"{tuple(self.words.shape)}, as when it was frozen",
                remedy="Call remove() on the freeze before the network's shapes change.",
            )
        kind = _word_type(tensor)
        if self.words.device != tensor.device or self.words.dtype != kind:
            self.words = _words(self.words != 0, tensor)
        return self.words


class _Stepper:
    """One optimizer, and all that is cleared after its steps."""

    def __init__(self, optimizer: Any) -> None:
        self._held: dict[int, _Held] = {}
        self._undo: Callable[[], None] | None = None
        self._optimizer = weakref.ref(optimizer)

    def add(self, held: _Held) -> None:
        optimizer = self._optimizer()
        if self._undo is None and optimizer is not None:
            self._undo = after_step(optimizer, self._clear)
        if id(held) not in self._held:
            self._held[id(held)] = held
            held.steppers.append(self)

    def drop(self, held: _Held) -> None:
        self._held.pop(id(held), None)
        if not self._held and self._undo is not None:
            self._undo()
            self._undo = None

    def _clear(self) -> None:
        for held in self._held.values():
            held.clear()


_HELD: MutableMapping[Tensor, _Held] = WeakTensorKeyDictionary()
_STEPPERS: MutableMapping[Any, _Stepper] = WeakIdKeyDictionary()


class Freeze:
    """Holds pruned elements at exactly +0 for as long as it is in place.

    Two hooks do it, and the user's model and loop stay as they are. After each accumulation the
    gradients of pruned elements are cleared, so gradient clipping, momentum and second moments see
    only what is kept. After each step of the optimizer the elements themselves are cleared, so no
    momentum, weight decay or fused kernel can bring one back. State that the optimizer has
    gathered before is cleared at the start.

    A parameter is held once: a later freeze of it, with the same optimizer or another, takes this
    one's place, and `remove` of this one then lets go only what it still holds. As a context
    manager a freeze gives back at the end what was held before.

    Args:
        masks: What to hold: parameter names -> bool tensors, True = kept.
        model: The network whose parameters the masks name.
        optimizer: Any `torch.optim.Optimizer`, or what a training library wraps around one; some
            of its parameters may be unmasked.

    Raises:
        MaskError: The masks do not fit the model, or the optimizer trains none of it.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> masks = {"weight": torch.tensor([[True, False]])}
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        >>> with Freeze(masks, net, optimizer):
        ...     net(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> net.weight[0, 1].item()
        0.0
    """

    def __init__(self, masks: Mapping[str, Tensor], model: nn.Module, optimizer: Any) -> None:
        parameters = masked_parameters(masks, model)
        optimizers = wrapped(optimizer)
        trained = trained_by(optimizers)
        if parameters and not any(id(parameter) in trained for parameter in parameters.values()):
            raise MaskError(
                "freezing masks",
                "the optimizer",
                given="one that trains no masked parameter",
                expected="the optimizer of the model that the masks were applied to",
                remedy="Build the optimizer from this model's parameters (after any copy).",
            )
        self._mark = object()
        self._held: list[_Held] = []
        self._before: list[tuple[_Held, Tensor, object]] = []
        steppers = [_stepper(one) for one in optimizers]
        for name, parameter in parameters.items():
            # What another optimizer trains and holds stays with it.
            if id(parameter) in trained or parameter not in _HELD:
                self._take(parameter, masks[name], steppers)
        for held in self._held:
            held.clear()
            held.clear_gradient()
        _clear_state(optimizers, parameters, masks)

    def _take(self, parameter: nn.Parameter, mask: Tensor, steppers: Iterable[_Stepper]) -> None:
        words = _words(mask, parameter)
        held = _HELD.get(parameter)
        if held is None:
            held = _HELD[parameter] = _Held(parameter, words)
        else:
            self._before.append((held, held.words, held.owner))
        held.words, held.owner = words, self._mark
        self._held.append(held)
        for stepper in steppers:
            stepper.add(held)

    def clear(self) -> None:
        """Write +0 into every pruned element now."""
        for held in self._own():
            held.clear()

    def remove(self) -> None:
        """Let the pruned elements train again."""
        for held in self._own():
            held.release()
        self._held, self._before = [], []

    def _own(self) -> list[_Held]:
        """What no later freeze has taken over."""
        return [held for held in self._held if held.owner is self._mark]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for held, words, owner in self._before:
            if held.owner is self._mark:
                held.words, held.owner = words, owner
        self.remove()


def _stepper(optimizer: Any) -> _Stepper:
    known = _STEPPERS.get(optimizer)
    if known is None:
        known = _STEPPERS[optimizer] = _Stepper(optimizer)
    return known


def _clear_state(
    optimizers: Iterable[Any], parameters: Mapping[str, nn.Parameter], masks: Mapping[str, Tensor]
) -> None:
    """What the optimizers have gathered of pruned elements so far: momentum and the like."""
    for optimizer in optimizers:
        state = getattr(optimizer, "state", {})
        for name, parameter in parameters.items():
            for value in state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.masked_fill_(~masks[name].to(value.device), 0)


def _word_type(tensor: Tensor) -> torch.dtype:
    size = tensor.element_size()
    return _BITS[size // 2 if tensor.is_complex() else size]


def _bits(tensor: Tensor) -> Tensor:
    """A tensor's memory as integers; of complex numbers, with one more axis of two."""
    kind = _word_type(tensor)
    return (torch.view_as_real(tensor) if tensor.is_complex() else tensor).view(kind)


def _words(mask: Tensor, like: Tensor) -> Tensor:
    """A mask as words, on the device, of the word size and of the memory layout of a tensor."""
    kind = _word_type(like)
    if like.layout == torch.strided:
        words = torch.zeros_like(like, dtype=kind)
    else:
        words = torch.zeros(like.shape, dtype=kind, device=like.device)
    return words.masked_fill_(mask.to(like.device), -1)
