"""Optimizers, however they are wrapped: which there are, what they train, when they have stepped.

Training libraries hand out wrappers: accelerate's `AcceleratedOptimizer`, Lightning's
`LightningOptimizer`, Fabric's, look-ahead and master-weight optimizers of one's own. Some of them
call themselves a `torch.optim.Optimizer` and have none of its hooks. So every object is taken as
it behaves: what has hooks of its own gets a hook, and the `step` of any other one is followed.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping
from types import MethodType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from secateur.errors import MaskError


def wrapped(given: object) -> list[Any]:
    """An optimizer and every one inside it, the outermost first; of several, all.

    Args:
        given: An optimizer, a wrapper around one, a learning-rate schedule, or a list of them.

    Raises:
        MaskError: There is no optimizer in it.

    Example:
        >>> import torch
        >>> inner = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> class Wrapper:
        ...     def __init__(self, optimizer):
        ...         self.inside, self.param_groups = optimizer, optimizer.param_groups
        ...     def step(self):
        ...         self.inside.step()
        >>> [type(one).__name__ for one in wrapped(Wrapper(inner))]
        ['Wrapper', 'SGD']
    """
    found: dict[int, Any] = {}
    waiting = [given]
    while waiting:
        one = waiting.pop(0)
        if id(one) in found:
            continue
        if _is_optimizer(one):
            found[id(one)] = one
            waiting.extend(_inside(one))
        elif not found or isinstance(one, list | tuple):
            waiting.extend(_inside(one))
    if not found:
        raise MaskError(
            "freezing masks",
            "the optimizer",
            given=f"a {type(given).__name__}",
            expected="a torch.optim.Optimizer, or whatever wraps one",
            remedy="Pass the object whose step() your loop calls.",
        )
    return list(found.values())


def _is_optimizer(one: object) -> bool:
    if isinstance(one, type | nn.Module | Tensor):
        return False
    steps = callable(getattr(one, "step", None))
    return isinstance(one, Optimizer) or (steps and hasattr(one, "param_groups"))


def _inside(one: object) -> Iterator[object]:
    """What an object holds that may be, or hold, an optimizer."""
    values = one if isinstance(one, list | tuple) else getattr(one, "__dict__", {}).values()
    for value in values:
        if isinstance(value, Mapping) and not isinstance(one, Mapping):
            yield from (held for held in value.values() if _is_optimizer(held))
        elif isinstance(value, list | tuple):
            yield from (held for held in value if _is_optimizer(held))
        elif _is_optimizer(value):
            yield value


def trained_by(optimizers: list[Any]) -> set[int]:
    """The ids of all parameters that the optimizers train.

    A wrapper may train copies of its own and hold the model's parameters in a list beside them.
    """
    found: set[int] = set()
    for optimizer in optimizers:
        for group in getattr(optimizer, "param_groups", ()):
            found.update(id(parameter) for parameter in group["params"])
        if not _has_hooks(optimizer):
            found.update(map(id, _tensors(list(vars(optimizer).values()))))
    return found


def _tensors(values: list[Any], depth: int = 3) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple) and depth:
            yield from _tensors(list(value), depth - 1)


def _has_hooks(optimizer: Any) -> bool:
    """Whether `register_step_post_hook` works: some wrappers inherit it and lack what it needs."""
    own = "_optimizer_step_post_hooks" in getattr(optimizer, "__dict__", {})
    return own and getattr(type(optimizer).step, "hooked", False) is True


def after_step(optimizer: Any, call: Callable[[], None]) -> Callable[[], None]:
    """Have `call` called after each step of an optimizer.

    Returns:
        What undoes it.
    """
    if _has_hooks(optimizer):
        handle = optimizer.register_step_post_hook(lambda *_: call())
        return handle.remove  # type: ignore[no-any-return]
    return _follow(optimizer, call)


def _follow(optimizer: Any, call: Callable[[], None]) -> Callable[[], None]:
    """The same where there are no hooks: the `step` of this one object is replaced."""
    before, own = optimizer.step, "step" in vars(optimizer)

    @functools.wraps(before)
    def step(_: Any, *args: Any, **kwargs: Any) -> Any:
        result = before(*args, **kwargs)
        call()
        return result

    # A bound method, as schedulers of torch expect that wrap `step` once more.
    optimizer.step = followed = MethodType(step, optimizer)
    known = weakref.ref(optimizer)

    def undo() -> None:
        one = known()
        if one is None or vars(one).get("step") is not followed:
            return
        if own:
            one.step = before
        else:
            del one.step

    return undo
