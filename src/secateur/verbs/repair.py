"""Repair in Python: mend a network that was just cut, on calibration data and without training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from secateur.channels.rebuild import uncompiled
from secateur.errors import DataError, MaskError, UsageError
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import arguments, moved
from secateur.pruning.masks import Masks, checked_masks
from secateur.pruning.mended import Repaired
from secateur.pruning.repair import Forward, mend
from secateur.pruning.sharded import check_whole
from secateur.registry import REPAIRS


def repair(
    model: nn.Module,
    masks: Masks | Mapping[str, Tensor],
    batches: Iterable[Any],
    how: str | Sequence[str] = ("least-squares",),
    *,
    dense: nn.Module | Mapping[str, Tensor] | None = None,
    forward: Forward | None = None,
) -> Repaired:
    """Mend a cut network in place, from calibration data alone, before it is trained.

    Every pruned element stays +0. The network goes through the batches in evaluation mode and
    without gradients; after an error it is as it was.

    Args:
        model: The network that `secateur.prune` has just cut, on any device, in any precision.
        masks: What `prune` returned. They remember what they have zeroed until they are frozen,
            copied or saved, so that the network can be run as it was before.
        batches: Some batches of *training* data, never validation or test data: pairs of inputs
            and target (several inputs are a tuple of their own), inputs alone, or mappings by
            name. A few hundred examples do, mixed as in training. An iterator is made a list.
        how: Kinds of repair, in `registry.REPAIRS` or `package.module:name`. Several are done in
            the order of that table, however they are given. `least-squares` is what wins most back
            (`benchmarks/repair.md`).
        dense: The network before the cut, or its state dict, for the kinds that compare with it,
            where the masks cannot know it: masks that were read from a file, a network that has
            been trained since the cut.
        forward: `forward(model, batch)`, for a network that takes a batch in another way.

    Returns:
        What was mended, and what was left alone and why; it prints as a line each.

    Raises:
        UnknownNameError: There is no such kind.
        MaskError: The masks do not fit, or what was before the cut is needed and not known.
        ModelError: The network fails on a batch.
        TrainingError: A number is not finite.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
        >>> images = torch.randn(64, 1, 3, 3)
        >>> masks = Masks({"0.weight": torch.rand(4, 1, 3, 3) > 0.5}).apply(net)
        >>> print(repair(net, masks, images.split(32), ["least-squares", "batch-norm"]))
        least-squares: 1 layer mended
        batch-norm: 1 layer mended
    """
    kinds = [REPAIRS.open(name) for name in ((how,) if isinstance(how, str) else how)]
    model = uncompiled(model)
    check_whole(model, "repairing a network")
    given = checked_masks(masks, "masks")
    if iter(batches) is batches:
        batches = list(batches)
    before = None if dense is None else _tensors(dense, model)
    return mend(model, given, batches, kinds, forward or _forward, before)


def _forward(model: nn.Module, batch: Any) -> Any:
    """Run a network on the inputs of a batch, on the network's device."""
    device = next((one.device for _, one in own_tensors(model)), torch.device("cpu"))
    args, named = arguments(moved(_inputs(batch), device))
    return model(*args, **named)


def _inputs(batch: Any) -> Any:
    if isinstance(batch, Tensor | Mapping | PackedSequence):
        return batch
    if isinstance(batch, tuple | list) and len(batch) in (1, 2):
        return batch[0]
    raise DataError(
        "repairing",
        "a batch",
        given=f"{len(batch)} values" if isinstance(batch, tuple | list) else type(batch).__name__,
        expected="a pair of inputs and target, inputs alone, or a mapping of inputs by name",
        remedy="Give several inputs as a tuple within the pair, or say how the network takes a "
        "batch by `forward=lambda net, batch: net(...)`.",
    )


def _tensors(dense: nn.Module | Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of the network before the cut, where and as the cut one's are.

    Raises:
        MaskError: They are of another network.
    """
    if isinstance(dense, nn.Module):
        held: Mapping[str, Tensor] = dict(own_tensors(uncompiled(dense)))
    elif isinstance(dense, Mapping):
        held = dense
    else:
        raise UsageError(
            "repairing",
            "dense",
            given=f"a {type(dense).__name__}",
            expected="a network, or its state dict",
            remedy="Pass copy.deepcopy(model), made before the cut.",
        )
    found = {}
    for name, own in own_tensors(model):
        other = held.get(name)
        if other is None and not isinstance(own, nn.Parameter):
            other = own  # a buffer that state dicts leave out
        if not isinstance(other, Tensor) or other.shape != own.shape:
            raise MaskError(
                "repairing",
                f"{name} of the network before the cut",
                given="missing" if other is None else f"of shape {tuple(other.shape)}",
                expected=f"of shape {tuple(own.shape)}, as in the cut network",
                remedy="Pass a copy of this network, made before the cut.",
            )
        found[name] = other.detach().to(own.device, own.dtype, copy=True)
    return found
