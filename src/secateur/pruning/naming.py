"""Naming: a parameter has the same name whatever a library has put around its network."""

from __future__ import annotations

from torch import nn

# torch.compile adds a level wherever it is called; the others hold one net and nothing beside it.
_COMPILED = "_orig_mod"
_HOLDERS = (_COMPILED, "module", "_forward_module", "_fsdp_wrapped_module", "model")


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
    return ".".join(part for part in name.split(".") if part != _COMPILED)


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
