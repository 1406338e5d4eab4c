"""Naming: a parameter has the same name whatever a library has put around its network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from secateur.errors import MaskError

# torch.compile adds a level wherever it is called; the others hold one net and nothing beside it.
COMPILED = "_orig_mod"
_HOLDERS = (COMPILED, "module", "_forward_module", "_fsdp_wrapped_module", "model")


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside what a library has put around it to train it in parallel or faster.

    Example:
        >>> net = nn.Linear(2, 2)
        >>> unwrapped(nn.DataParallel(net)) is net, unwrapped(net) is net
        (True, True)
    """
    while True:
        inner = next(
            (model._modules.get(name) for name in _HOLDERS if name in model._modules), None
        )
        if inner is None or not _is_alone(inner, model):
            return model
        model = inner


def without_ranks(model: nn.Module) -> nn.Module:
    """The network inside torch's own wrappers for training on several devices.

    Example:
        >>> net = nn.Linear(2, 2)
        >>> without_ranks(nn.DataParallel(net)) is net
        True
    """
    while isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        model = model.module
    return model


def _is_alone(inner: nn.Module, outer: nn.Module) -> bool:
    """Whether the outer module has no parameter beside the inner one's."""
    own = sum(1 for _ in outer.parameters())
    return own == sum(1 for _ in inner.parameters())


def plain_name(name: str) -> str:
    """A state-dict name without the levels that torch.compile adds.

    Example:
        >>> plain_name("_orig_mod.block._orig_mod.weight")
        'block.weight'
    """
    return ".".join(part for part in name.split(".") if part != COMPILED)


def parameters_by_name(model: nn.Module) -> dict[str, nn.Parameter]:
    """All parameters, by their names in the model as it is and in the network inside it.

    Example:
        >>> list(parameters_by_name(nn.DataParallel(nn.Linear(2, 2, bias=False))))
        ['module.weight', 'weight']
    """
    given = dict(model.named_parameters(remove_duplicate=False))
    inner = dict(unwrapped(model).named_parameters(remove_duplicate=False))
    plain = {plain_name(name): parameter for name, parameter in (given | inner).items()}
    return plain | inner | given


def masked_parameters(masks: Mapping[str, Tensor], model: nn.Module) -> dict[str, nn.Parameter]:
    """A model's parameters that have a mask, checked for name and shape.

    Args:
        masks: Parameter names -> masks.
        model: The network.

    Raises:
        MaskError: A name or a shape is not the model's.

    Example:
        >>> import torch
        >>> list(masked_parameters({"weight": torch.ones(2, 2, dtype=bool)}, nn.Linear(2, 2)))
        ['weight']
    """
    named = parameters_by_name(model)
    found = {}
    for name, mask in masks.items():
        parameter = named.get(name, named.get(plain_name(name)))
        if parameter is None or parameter.shape != mask.shape:
            raise _unfitting(name, mask, parameter)
        found[name] = parameter
    return found


def _unfitting(name: str, mask: Tensor, parameter: nn.Parameter | None) -> MaskError:
    remedy = "Use the masks with the model, or its copy, that they were made for."
    if parameter is None:
        return MaskError(
            "applying masks",
            name,
            given="a mask without its parameter",
            expected="a parameter of that name in the model",
            remedy=remedy,
        )
    return MaskError(
        "applying masks",
        name,
        given=f"a mask of shape {tuple(mask.shape)}",
        expected=f"the parameter's shape {tuple(parameter.shape)}",
        remedy=remedy,
    )
