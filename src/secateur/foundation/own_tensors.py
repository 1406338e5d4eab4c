"""Own tensors: the parameters and buffers of a network, found in one walk over its modules."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


def own_tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    """Parameters, then buffers, each once and by its first name.

    The same as torch's `named_parameters` and `named_buffers`, which walk over all modules by
    nested generators, once for each of the two.

    Example:
        >>> [name for name, _ in own_tensors(nn.Sequential(nn.BatchNorm1d(2), nn.ReLU()))][:3]
        ['0.weight', '0.bias', '0.running_mean']
    """
    parameters: dict[int, tuple[str, Tensor]] = {}
    buffers: dict[int, tuple[str, Tensor]] = {}
    for prefix, module in each_module(model):
        for held, found in ((module._parameters, parameters), (module._buffers, buffers)):
            if held:
                for name, tensor in held.items():
                    if tensor is not None:
                        found.setdefault(id(tensor), (f"{prefix}{name}", tensor))
    return [*parameters.values(), *buffers.values()]


def each_module(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module once, with what the names of its tensors begin with, outermost first."""
    waiting: list[tuple[str, nn.Module]] = [("", model)]
    seen: set[int] = set()
    while waiting:
        prefix, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield prefix, module
        inside = module._modules
        if inside:
            waiting += [
                (f"{prefix}{name}.", one)
                for name, one in reversed(inside.items())
                if one is not None
            ]
