"""The anatomy of a network: which module owns each tensor, and the numbers that count channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from secateur.artifact.manifest import Role

Number = int | list[int]

# Of torch's own modules, the numbers that count channels.
_COUNTED = (
    "in_features", "out_features", "in_channels", "out_channels", "groups", "num_features",
    "num_channels", "num_groups", "normalized_shape", "num_embeddings", "embedding_dim",
    "num_parameters", "num_heads", "embed_dim", "head_dim", "kdim", "vdim", "input_size",
    "hidden_size", "proj_size", "in1_features", "in2_features", "unflattened_size",
)  # fmt: skip
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_NOTHING = object()
_LARGEST = 1 << 62
_LONGEST = 4096


class TensorPlace(NamedTuple):
    """A place in a network that holds a tensor.

    Attributes:
        module: The module that owns it.
        leaf: Its name there.
        tensor: What is in it.
    """

    module: nn.Module
    leaf: str
    tensor: Tensor

    @property
    def shape(self) -> torch.Size:
        """The tensor's shape; without axes while a lazy layer waits for its first input."""
        return torch.Size() if is_lazy(self.tensor) else self.tensor.shape

    def put(self, tensor: Tensor) -> None:
        """Put another tensor in its place."""
        kept = self.module._parameters if self.leaf in self.module._parameters else None
        if kept is not None and isinstance(tensor, nn.Parameter):
            kept[self.leaf] = tensor
        else:
            setattr(self.module, self.leaf, tensor)


class Vacancy(NamedTuple):
    """A place in a network where a tensor can go that is not there yet.

    Attributes:
        module: The module that will own it.
        leaf: Its name there.
        role: Of the tensor.
    """

    module: nn.Module
    leaf: str
    role: Role

    def put(self, tensor: Tensor) -> None:
        """Register a tensor there: a buffer, or a parameter."""
        vars(self.module).pop(self.leaf, None)
        if self.role in ("buffer", "transient"):
            self.module.register_buffer(self.leaf, tensor, persistent=self.role == "buffer")
            return
        if not isinstance(tensor, nn.Parameter):
            floats = tensor.is_floating_point() or tensor.is_complex()
            tensor = nn.Parameter(tensor, requires_grad=floats)
        self.module.register_parameter(self.leaf, tensor)


def vacancy(module: nn.Module, leaf: str, role: Role) -> Vacancy | None:
    """The place for a tensor that a module as built does not have; None if there is none.

    A parameter goes where the class keeps a place for it (`bias=False` does). A buffer may also be
    one that a class of the user's own registers when it runs.

    Args:
        module: The module.
        leaf: The tensor's name there.
        role: Its role.

    Example:
        >>> vacancy(nn.Linear(2, 2, bias=False), "bias", "").leaf
        'bias'
        >>> vacancy(nn.Identity(), "bias", "") is None
        True
    """
    if leaf in _OF_EVERY_MODULE or leaf in module._modules or not leaf.isidentifier():
        return None
    held = {**vars(type(module)), **vars(module), **module._parameters, **module._buffers}
    is_free = leaf in held and held[leaf] is None
    is_made = role in ("buffer", "transient") and not is_native(module)
    if is_free or (is_made and not hasattr(type(module), leaf) and leaf not in held):
        return Vacancy(module, leaf, role)
    return None


def refresh_weights(model: nn.Module) -> None:
    """Compute anew the weights that hooks of `torch.nn.utils` make of other parameters.

    Weight norm and pruning of the older kind keep the result in an attribute that is no parameter.
    """
    with torch.no_grad():
        for module in model.modules():
            for hook in module._forward_pre_hooks.values():
                if type(hook).__module__.startswith("torch.nn.utils."):
                    hook(module, ())


def is_native(module: nn.Module) -> bool:
    """Whether it is one of torch's own."""
    return type(module).__module__.startswith("torch.")


def slots(model: nn.Module) -> dict[str, TensorPlace]:
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
            found[f"{path}.{leaf}" if path else leaf] = TensorPlace(module, leaf, tensor)
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
    native = is_native(module)
    for name, value in vars(module).items():
        if name in _OF_EVERY_MODULE or (native and name not in _COUNTED):
            continue
        if _is_number(value):
            yield name, value
        # A longer list is a record of something, and no shape.
        elif isinstance(value, tuple | list) and 0 < len(value) <= _LONGEST and _are_numbers(value):
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
            one. Nothing but a number is ever replaced, and only by a number: what the class
            does not have as a number yet, the network will set when it runs, as it did before.
    """
    modules = dict(model.named_modules())
    for path, numbers in attributes.items():
        for name, value in numbers.items():
            if path in modules:
                _set(modules[path], name, value)
    for path, module in modules.items():
        if _is_convolution(module) and "groups" not in attributes.get(path, {}):
            module.groups = 1
        for name, value in _told(module).items():
            if name not in attributes.get(path, {}):
                _set(module, name, value)


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


def _set(module: nn.Module, name: str, value: Number) -> None:
    current = vars(module).get(name)
    if name in _OF_EVERY_MODULE:
        return
    if isinstance(value, int):
        if type(current) in (int, float):
            setattr(module, name, value)
    elif isinstance(current, tuple) and hasattr(current, "_make"):
        if len(current) == len(value) and _are_numbers(current):
            setattr(module, name, current._make(value))
    elif isinstance(current, tuple | list) and _are_numbers(current):
        setattr(module, name, type(current)(value))


def _are_numbers(values: tuple[object, ...] | list[object]) -> bool:
    return all(map(_is_number, values))


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int and -_LARGEST < value < _LARGEST
