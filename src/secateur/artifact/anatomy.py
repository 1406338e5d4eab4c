"""The anatomy of a network: which module owns each tensor, and the numbers that count channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn

from secateur.errors import ModelError

Number = int | list[int]

# Of torch's own modules, the numbers that count channels.
_COUNTED = (
    "in_features", "out_features", "in_channels", "out_channels", "groups", "num_features",
    "num_channels", "num_groups", "normalized_shape", "num_embeddings", "embedding_dim",
    "num_parameters", "num_heads", "embed_dim", "head_dim", "kdim", "vdim", "input_size",
    "hidden_size", "proj_size", "in1_features", "in2_features", "unflattened_size",
)  # fmt: skip
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


class Slot(NamedTuple):
    """A place in a network that holds a tensor.

    Attributes:
        module: The module that owns it.
        leaf: Its name there.
        tensor: What is in it.
    """

    module: nn.Module
    leaf: str
    tensor: Tensor


def slots(model: nn.Module) -> dict[str, Slot]:
    """Every parameter and buffer by its full name; a tied one under each of its names.

    Example:
        >>> list(slots(nn.BatchNorm1d(2, affine=False)))
        ['running_mean', 'running_var', 'num_batches_tracked']
    """
    found = {}
    for path, module in model.named_modules(remove_duplicate=False):
        own = [
            *module.named_parameters(recurse=False, remove_duplicate=False),
            *module.named_buffers(recurse=False, remove_duplicate=False),
        ]
        for leaf, tensor in own:
            found[f"{path}.{leaf}" if path else leaf] = Slot(module, leaf, tensor)
    return found


def read_attributes(model: nn.Module) -> dict[str, dict[str, Number]]:
    """The numbers of each module that surgery may change and that no tensor's shape tells.

    Example:
        >>> read_attributes(nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Linear(4, 2)))
        {'0': {'groups': 2}}
    """
    found = {}
    for path, module in model.named_modules():
        told = _told(module)
        usual = {"groups": 1} if _is_convolution(module) else {}
        numbers = {k: v for k, v in _numbers(module) if (told | usual).get(k) != v}
        if numbers:
            found[path] = numbers
    return found


def _is_convolution(module: nn.Module) -> TypeGuard[nn.modules.conv._ConvNd]:
    return isinstance(module, nn.modules.conv._ConvNd)


def _numbers(module: nn.Module) -> Iterator[tuple[str, Number]]:
    native = type(module).__module__.startswith("torch.")
    for name, value in vars(module).items():
        if name in _OF_EVERY_MODULE or (native and name not in _COUNTED):
            continue
        if type(value) is int:
            yield name, value
        elif isinstance(value, tuple | list) and value and _are_numbers(value):
            yield name, list(value)


def _told(module: nn.Module) -> dict[str, Number]:
    """The numbers of torch's commonest modules that the shapes of their tensors tell."""
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor):
        weight = getattr(module, "running_mean", None)
    if not isinstance(weight, Tensor):
        return {}
    sizes = weight.shape
    match module:
        case nn.Linear():
            return {"out_features": sizes[0], "in_features": sizes[1]}
        case nn.modules.conv._ConvTransposeNd():
            return {"in_channels": sizes[0], "out_channels": sizes[1] * module.groups}
        case nn.modules.conv._ConvNd():
            return {"out_channels": sizes[0], "in_channels": sizes[1] * module.groups}
        case nn.modules.batchnorm._NormBase():
            return {"num_features": sizes[0]}
        case nn.GroupNorm():
            return {"num_channels": sizes[0]}
        case nn.LayerNorm():
            return {"normalized_shape": list(sizes)}
        case nn.Embedding() | nn.EmbeddingBag():
            return {"num_embeddings": sizes[0], "embedding_dim": sizes[1]}
        case nn.PReLU():
            return {"num_parameters": sizes[0]}
        case _:
            return {}


def write_attributes(model: nn.Module, attributes: Mapping[str, Mapping[str, Number]]) -> None:
    """Make the numbers of a refilled network agree with its tensors.

    Args:
        model: The network, its tensors replaced.
        attributes: What `read_attributes` gave; a convolution whose groups it does not tell has
            one. Nothing but a number is ever replaced, and only by a number.

    Raises:
        ModelError: The network has no such module or no such number.
    """
    modules = dict(model.named_modules())
    for path, numbers in attributes.items():
        for name, value in numbers.items():
            if path not in modules:
                raise _unknown(path, name, None)
            _set(modules[path], path, name, value)
    for path, module in modules.items():
        if _is_convolution(module) and "groups" not in attributes.get(path, {}):
            module.groups = 1
        for name, value in _told(module).items():
            if name not in attributes.get(path, {}) and name in vars(module):
                _set(module, path, name, value)


def infer_groups(
    model: nn.Module, before: Mapping[str, torch.Size]
) -> dict[str, dict[str, Number]]:
    """Groups of convolutions filled from a file that does not tell them.

    A convolution whose groups have kept their inner width has lost whole groups; of others the
    groups stay.

    Args:
        model: The network, its tensors replaced.
        before: Shapes of its tensors before.
    """
    found: dict[str, dict[str, Number]] = {}
    for path, module in model.named_modules():
        if _is_convolution(module) and module.groups > 1:
            built = before[f"{path}.weight" if path else "weight"]
            groups = module.groups
            if module.weight.shape[1] == built[1]:
                outer = built[0] // groups
                groups = max(1, module.weight.shape[0] // outer)
            found[path] = {"groups": groups}
    return found


def _set(module: nn.Module, path: str, name: str, value: Number) -> None:
    current = vars(module).get(name)
    if isinstance(value, int) and type(current) is int:
        setattr(module, name, value)
    elif isinstance(value, list) and isinstance(current, tuple | list) and _are_numbers(current):
        setattr(module, name, type(current)(value))
    else:
        raise _unknown(path, name, current)


def _unknown(path: str, name: str, current: object) -> ModelError:
    return ModelError(
        "loading a model",
        f"{path}.{name}"[:200],
        given=f"a {type(current).__name__} in the network built",
        expected="the kind of number that the file holds for it",
        remedy="Build the net with the class and the options that it was saved from.",
    )


def _are_numbers(values: tuple[object, ...] | list[object]) -> bool:
    return all(type(value) is int for value in values)
