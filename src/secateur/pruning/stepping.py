"""After a step: held parameters are cleared, and what took a held parameter's place is held.

A network changes after a freeze: a checkpoint is loaded with `assign=True`, a layer or a parameter
is put in another's place, a parametrization moves the weight to another name, a second optimizer
is built. What is held is therefore known by its name in the network, and looked up after each
step of whatever optimizer.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils.weak import WeakIdKeyDictionary

from secateur.errors import MaskError
from secateur.pruning.computed import Computed, computed_weights
from secateur.pruning.held import Held, held_of, reshaped, words_of
from secateur.pruning.naming import COMPILED
from secateur.pruning.optimizers import after_step, trained_by
from secateur.pruning.sharded import is_sharded, local, local_part


class Stepper:
    """One optimizer, and all that is cleared after its steps."""

    def __init__(self, optimizer: Any) -> None:
        self._held: dict[int, Held] = {}
        self._undo: Callable[[], None] | None = None
        self._optimizer = weakref.ref(optimizer)

    def add(self, held: Held) -> None:
        """Clear it after every step."""
        optimizer = self._optimizer()
        if self._undo is None and optimizer is not None:
            self._undo = after_step(optimizer, self._clear)
        if id(held) not in self._held:
            self._held[id(held)] = held
            held.steppers.append(self)

    def drop(self, held: Held) -> None:
        """Do so no more."""
        self._held.pop(id(held), None)
        if not self._held and self._undo is not None:
            self._undo()
            self._undo = None

    def has(self, held: Held) -> bool:
        """Whether this one is cleared after its steps."""
        return id(held) in self._held

    @property
    def is_active(self) -> bool:
        """Whether it sees the steps."""
        return self._undo is not None

    def _clear(self) -> None:
        for held in self._held.values():
            held.clear()
        optimizer = self._optimizer()
        if optimizer is not None:
            _follow(optimizer)


_STEPPERS: MutableMapping[Any, Stepper] = WeakIdKeyDictionary()


def stepper_of(optimizer: Any) -> Stepper:
    """What clears after an optimizer's steps; there is one for each."""
    known = _STEPPERS.get(optimizer)
    if known is None:
        known = _STEPPERS[optimizer] = Stepper(optimizer)
    return known


@dataclass(eq=False, slots=True)
class _Name:
    """What is held under one name of a network.

    Attributes:
        held: The parameter that lay there last.
        places: Where to look, the first one first: a parametrization moves a weight to another
            name, and back.
    """

    held: Held
    places: list[str]


_NAMES: MutableMapping[nn.Module, dict[str, _Name]] = WeakIdKeyDictionary()
_LISTENING: list[Any] = []


def follow_names(model: nn.Module, held: Iterable[tuple[str, nn.Parameter, Held]]) -> None:
    """From now on whatever parameter a network has under these names is held.

    Args:
        model: The network.
        held: Of each name: the parameter that lies there now, and what holds it.
    """
    names = _NAMES.setdefault(model, {})
    full = dict(model.named_parameters(remove_duplicate=False))
    by_id = {id(parameter): name for name, parameter in full.items()}
    computed = {
        f"{path}.{ingredient}".lstrip("."): f"{path}.{one.name}".lstrip(".")
        for path, module in model.named_modules(remove_duplicate=False)
        for one in computed_weights(module)
        for ingredient in one.ingredients
    }
    for name, parameter, one in held:
        place = name if full.get(name) is parameter else by_id.get(id(parameter), name)
        names[name] = _Name(one, [place, *([computed[place]] if place in computed else [])])
    if not _LISTENING:
        _LISTENING.append(register_optimizer_step_post_hook(_stepped))


def clear_state(optimizer: Any, parameter: nn.Parameter, kept: Tensor) -> None:
    """Clear what an optimizer has gathered of pruned elements so far: momentum and the like."""
    for value in getattr(optimizer, "state", {}).get(parameter, {}).values():
        if isinstance(value, Tensor) and value.shape == parameter.shape:
            local(value).masked_fill_(~local_part(kept, value).to(value.device), 0)


def _stepped(optimizer: Any, *_: Any) -> None:
    known = _STEPPERS.get(optimizer)
    if known is None or not known.is_active:  # an active one follows by itself
        _follow(optimizer)


def _follow(optimizer: Any) -> None:
    """Hold what lies under the names now, after a step of any optimizer."""
    trained: set[int] | None = None
    for model, names in list(_NAMES.items()):
        for name, one in list(names.items()):
            if one.held.owner is None:
                del names[name]
                continue
            parameter = _current(model, one)
            if parameter is None:
                continue
            before, is_new = one.held, not one.held.holds(parameter)
            if is_new and before.is_sharded and before.is_alive and not is_sharded(parameter):
                continue  # FSDP2 has gathered it for a moment; its part is what is trained
            if is_new:
                one.held = _successor(name, before, parameter, optimizer)
                if all(other.held is not before for other in names.values()):
                    before.release()
            one.held.watch()
            stepper = stepper_of(optimizer)
            if not stepper.has(one.held):
                trained = trained_by([optimizer]) if trained is None else trained
                if id(parameter) in trained:
                    stepper.add(one.held)
                    one.held.clear()


def _successor(name: str, before: Held, parameter: nn.Parameter, optimizer: Any) -> Held:
    """What holds a parameter that lies where another one was held."""
    known = held_of(parameter)
    if known is not None and known.owner is not before.owner:
        return known  # frozen anew, by masks of its own
    kept = before.words != 0
    if kept.dim() != parameter.dim() or any(
        size not in (1, other) for size, other in zip(kept.shape, parameter.shape, strict=True)
    ):
        raise reshaped(name, parameter, before.words)
    kept = kept.to(parameter.device).expand(parameter.shape)
    if known is None:
        known = Held(parameter, words_of(kept, parameter))
        known.belong(before)
    else:
        known.narrow(kept)
    known.clear()
    known.clear_gradient()
    clear_state(optimizer, parameter, kept)
    return known


def _current(model: nn.Module, one: _Name) -> nn.Parameter | None:
    """The parameter that lies there now; None where the layer is gone."""
    for place in one.places:
        path, _, leaf = place.rpartition(".")
        module = _module(model, path)
        if module is None:
            continue
        if leaf in module._parameters and module._parameters[leaf] is not None:
            return module._parameters[leaf]
        for computed in computed_weights(module):
            if computed.name == leaf:
                own = _ingredient(computed, place, one.held)
                one.places.insert(0, f"{path}.{own}".lstrip("."))
                return computed.ingredients[own]
    return None


def _module(model: nn.Module, path: str) -> nn.Module | None:
    """A module by its name, also where `torch.compile` has put a level between."""
    module = _uncompiled(model)
    for part in path.split(".") if path else ():
        if part != COMPILED:
            if module is None or part not in module._modules:  # scripted ones know no `get`
                return None
            module = _uncompiled(module._modules[part])
    return module


def _uncompiled(module: nn.Module | None) -> nn.Module | None:
    while module is not None and COMPILED in module._modules:
        module = module._modules[COMPILED]
    return module


def _ingredient(computed: Computed, name: str, held: Held) -> str:
    """What to hold of a weight that is computed since the freeze, so that its zeros stay."""
    own, kept = computed.masked_by(), held.words != 0
    if own is not None and set(computed.masks(own, kept)) == {own}:
        return own
    raise MaskError(
        "holding pruned weights",
        name,
        given=f"a weight that is computed since the freeze, from {', '.join(computed.ingredients)}",
        expected="a parameter, or a parametrization that keeps its zeros",
        remedy=f"{computed.remedy}; or parametrize first, and prune and freeze then.",
    )
