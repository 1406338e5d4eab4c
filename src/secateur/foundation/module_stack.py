"""The module stack: which modules of a network are running, outermost first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


@contextmanager
def module_stack(stack: list[str], name_of: Callable[[nn.Module], str]) -> Iterator[None]:
    """While open, a list follows the modules that run.

    Args:
        stack: Gets the name of each module as it begins, and loses it as the module ends.
        name_of: Gives the name of a module; asked as it begins.

    Example:
        >>> import torch
        >>> net, stack, seen = nn.Sequential(nn.ReLU()), [], []
        >>> _ = net[0].register_forward_pre_hook(lambda *_: seen.append(list(stack)))
        >>> with module_stack(stack, lambda module: type(module).__name__):
        ...     _ = net(torch.zeros(1))
        >>> seen, stack
        ([['Sequential', 'ReLU']], [])
    """

    def enter(module: nn.Module, _: object) -> None:
        stack.append(name_of(module))

    def leave(*_: object) -> None:
        stack.pop()

    before = register_module_forward_pre_hook(enter)
    after = register_module_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()
