"""User scores: what a caller ranks a network's weights or channels by, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from secateur.errors import MaskError, UnknownNameError
from secateur.pruning.weights import Weight


def checked_scores(scores: object, weights: Mapping[str, Weight]) -> dict[str, Tensor]:
    """Scores by the names of weights, as the criterion `scores` reads them.

    Args:
        scores: Name of a weight, or of the module that has it -> a tensor of the weight's shape,
            or of one axis: a number for each filter or channel that it computes.
        weights: All prunable weights of the network.

    Raises:
        MaskError: They are no such table, or a tensor is of another shape or not finite.
        UnknownNameError: A name is that of no prunable weight.

    Example:
        >>> from torch import nn
        >>> from secateur.pruning.weights import prunable_weights
        >>> net = nn.Sequential(nn.Linear(2, 2))
        >>> list(checked_scores({"0": torch.ones(2)}, prunable_weights(net)))
        ['0.weight']
    """
    if not isinstance(scores, Mapping) or not scores:
        raise _wrong("scores", f"{scores!r:.60}")
    own = {weight.module: name for name, weight in weights.items()}
    found: dict[str, Tensor] = {}
    for given, values in scores.items():
        name = given if given in weights else own.get(given)
        if name is None:
            raise UnknownNameError("prunable weight", given, weights)
        found[name] = _checked(name, values, weights[name].value.shape)
    return found


def _checked(name: str, values: Any, shape: torch.Size) -> Tensor:
    try:
        tensor = torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        raise _wrong(name, f"{values!r:.60}") from None
    real = not tensor.is_complex() and tensor.dtype != torch.bool
    if not real or not (tensor.shape == shape or (tensor.ndim == 1 and len(tensor) in shape[:2])):
        raise _wrong(name, f"of shape {tuple(tensor.shape)} and {tensor.dtype}", shape)
    if not bool(torch.isfinite(tensor).all()):
        raise _wrong(name, "not finite", shape)
    return tensor if tensor.is_floating_point() else tensor.double()


def _wrong(subject: str, given: str, shape: torch.Size | None = None) -> MaskError:
    return MaskError(
        "reading scores",
        subject,
        given=given,
        expected="a table of names and tensors"
        if shape is None
        else f"finite real numbers of shape {tuple(shape)}, or one for each channel",
        remedy="Pass scores={name: tensor} with names of model.named_parameters(); the higher "
        "are kept.",
    )
