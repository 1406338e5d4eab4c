"""Prune: from a model and the name of a method to masks, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from secateur.channels import Trace, dry_run, trace
from secateur.channels.labels.constraints import Pin
from secateur.channels.rebuild import uncompiled
from secateur.channels.tracing.zero_check import MAY_BE_NONZERO
from secateur.errors import MaskError
from secateur.pruning.allocation import Ranking
from secateur.pruning.criterion import Statistics, needs_of
from secateur.pruning.filters import filters
from secateur.pruning.groups import Groups
from secateur.pruning.masks import Masks, checked_masks
from secateur.pruning.method import Granularity, Method, Part, find_method
from secateur.pruning.request import (
    checked_level,
    checked_multiple,
    checked_word,
    refuse_exclude,
)
from secateur.pruning.select import GroupsOf, cut
from secateur.pruning.slimming_norms import norm_scales
from secateur.pruning.statistics import Batches, Loss, gather
from secateur.pruning.weights import Scope, Tied, sorted_weights
from secateur.registry import COLLECTORS, CRITERIA, METHODS
from secateur.spec import check_study

ROUNDS = 6


def prune(
    model: nn.Module,
    method: str | Method = "magnitude",
    *,
    sparsity: float | Sequence[float],
    scope: Scope | None = None,
    ranking: Ranking | None = None,
    granularity: Granularity | None = None,
    example_inputs: Any = None,
    statistics: Statistics | None = None,
    data: Batches | None = None,
    loss: Loss | None = None,
    options: Mapping[str, Any] | None = None,
    previous: Masks | None = None,
    seed: int = 0,
    round_to: int = 1,
    tied: Tied = "keep",
    exclude: None = None,
) -> Masks:
    """Score the model's weights or channels, zero the lowest, and return what was kept.

    Args:
        model: Any network; its pruned weights (of a channel: the bias and norm affine too)
            become zero.
        method: A name in `registry.METHODS` that prunes, `package.module:name`, or a `Method`.
        sparsity: The share of the weights in the method's scope to zero, in [0, 1); for
            `combined` one number, or one for the convolutions and one for the rest.
        scope: `all`, `conv` or `non-conv` instead of the method's own.
        ranking: `global` or `layer` instead of the method's own.
        granularity: `channel` (with everything that shares it) or `filter` (one convolution's
            alone) instead of the method's own; a method of single weights stays one.
        example_inputs: A batch that the model accepts, or a tuple of inputs; needed for channels.
        statistics: For `slimming`, what `secateur.slim` returned; without them the scales of the
            batch norms that the model has are used.
        data: Batches of training data, for a method whose criterion looks at gradients or
            activations; a copy of the model goes through them once.
        loss: `loss(model, batch)`: the scalar that training minimises.
        options: The method's own options, as in a study file.
        previous: Masks that the new ones must lie within (incremental pruning); a dict of names
            to bool tensors will do.
        seed: For the random controls.
        round_to: Every layer whose channels may go keeps a multiple of so many (8 suits most
            hardware): the nearest to what the ranking keeps, at least one multiple; a layer
            smaller than that stays whole. The sparsity reached moves by as much.
        tied: Whether a matrix that an embedding shares is left alone (`keep`) or cut (`prune`).
        exclude: Kept free for layers that are left out; nothing can be left out yet.

    Returns:
        The masks, applied. `masks.freeze(optimizer)` holds the zeros through training.

    Raises:
        UnknownNameError: No such method, scope, ranking or granularity.
        MaskError: The sparsity or `round_to` is out of range, or a weight is not finite.
        ModelError: There is nothing to prune, or the example is missing or does not fit.
        ChannelError: The channels cannot be traced.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2))
        >>> masks = prune(net, "magnitude", sparsity=0.9)
        >>> masks.zeros, masks.total
        (108, 120)
    """
    recipe = method if isinstance(method, Method) else find_method(method)
    settings = _settings(recipe, options)
    refuse_exclude(exclude)
    for kind, word, known in (
        ("scope", scope, Scope),
        ("ranking", ranking, Ranking),
        ("granularity", granularity, Granularity),
    ):
        checked_word(kind, word, known)
    sparsities = checked_level(sparsity)
    if previous is not None:
        previous = checked_masks(previous, "previous")
        previous.parameters_of(model)
    model = uncompiled(model)
    parts = tuple(
        replace(_changed(part, scope, ranking, granularity), options=settings)
        for part in recipe.parts
    )
    if not parts:
        raise MaskError(
            "prune",
            "the method",
            given=f"{recipe.name!r}, a control that cuts nothing",
            expected="a method that prunes",
            remedy=f"Choose one of {', '.join(n for n in METHODS if METHODS[n].parts)}.",
        )
    weights_only = all(part.granularity == "weight" for part in parts)
    round_to = checked_multiple(round_to, weights_only=weights_only)
    if statistics is None and recipe.prepare and example_inputs is not None:
        statistics = norm_scales(model, example_inputs)
    found = replace(statistics or Statistics(), seed=seed)
    missing = [name for name in _collected(parts) if not found.has(name)]
    if missing and data is not None and loss is not None:
        gathered = gather(
            model, missing, data, loss, seed=seed, example_inputs=example_inputs, tied=tied
        )
        found = replace(found, gathered={**found.gathered, **gathered})

    def select(groups: GroupsOf | None) -> Masks:
        return cut(
            model,
            parts,
            sparsities,
            groups_of=groups,
            statistics=found,
            previous=previous,
            round_to=round_to,
            example_inputs=example_inputs,
            tied=tied,
        )

    if example_inputs is None:
        masks = select(None)
    else:
        masks = select_channels(model, example_inputs, select)
    _say_what_is_left_out(model, masks, sparsities, example_inputs, tied)
    return masks.apply(model)


class CutWarning(UserWarning):
    """A cut does less than one may think: it removes nothing, or leaves most weights out."""


def _say_what_is_left_out(
    model: nn.Module, masks: Masks, sparsities: Sequence[float], example_inputs: Any, tied: Tied
) -> None:
    found = sorted_weights(model, example_inputs=example_inputs, tied=tied)
    counted = sum(weight.value.numel() for weight in found.weights.values())
    unclear = sum(found.unclear.values())
    if unclear > counted:
        names = ", ".join(list(found.unclear)[:3])
        warnings.warn(
            f"prune: {unclear} elements of {len(found.unclear)} parameters are not counted as "
            f"weights ({names}, ...), more than the {counted} that are; pass example_inputs, "
            "so that a pass can show what they are",
            CutWarning,
            stacklevel=3,
        )
    if masks.total and not masks.zeros and max(sparsities) * counted >= 1:
        warnings.warn(
            f"prune: nothing was removed of {counted} weights at a sparsity of "
            f"{max(sparsities):g}: the units that may go are larger than that, or a floor or pins "
            "hold them; see masks.floored and masks.report",
            CutWarning,
            stacklevel=3,
        )


def _settings(method: Method, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """A method's own options, checked, as its criteria get them."""
    values = {"methods": {method.name: dict(options or {})}}
    if method.name not in METHODS or METHODS[method.name] is not method:
        found = method.options.model_validate(dict(options or {}))
    else:
        found = check_study(values, "the options of prune").methods[method.name]
    return {name: getattr(found, name) for name in sorted(method.cut_options())}


def _collected(parts: Sequence[Part]) -> tuple[str, ...]:
    needed = needs_of(CRITERIA[part.criterion] for part in parts)
    return tuple(name for name in needed if name in COLLECTORS)


def _changed(
    part: Part, scope: Scope | None, ranking: Ranking | None, granularity: Granularity | None
) -> Part:
    if part.granularity == "weight":
        granularity = None
    return replace(
        part,
        scope=scope or part.scope,
        ranking=ranking or part.ranking,
        granularity=granularity or part.granularity,
    )


def select_channels(
    model: nn.Module, example_inputs: Any, select: Callable[[GroupsOf], Masks]
) -> Masks:
    """Select channels whose cut has been tried in a dry run: it is the same function, and runs.

    Args:
        model: The network; it is not touched.
        example_inputs: A batch that it accepts.
        select: Gives masks for the units of each part.

    Returns:
        The masks, with the trace that they were made with.

    Raises:
        ChannelError: Nothing of the network can be cut.
    """
    units = _Units(model, example_inputs)
    for last in (*[False] * (ROUNDS - 1), True):
        masks = select(units.of)
        if units.traced is None:
            return masks
        tried = dry_run(model, masks, example_inputs, units.traced)
        if not tried.held:
            break
        units.hold(tried.held)
        if last and tried.error is not None:
            raise tried.error
    return units.sign(masks)


class _Units:
    """The units of a network's parts; it is traced once."""

    def __init__(self, model: nn.Module, example_inputs: Any) -> None:
        self._model, self._example = model, example_inputs
        self.traced: Trace | None = None

    def sign(self, masks: Masks) -> Masks:
        """The masks, with the trace that they were made with."""
        if self.traced is not None:
            masks.report, masks.traced = self.traced.report, self.traced
        return masks

    def hold(self, pins: Sequence[Pin]) -> None:
        """Pin more channels, and find out which others would not leave exactly."""
        nonzero = any(pin.operator == MAY_BE_NONZERO for pin in pins)
        if self.traced is None or (nonzero and not self.traced.is_exact):
            self.traced = trace(self._model, self._example)
        else:
            self.traced = self.traced.hold(pins)

    def of(self, part: Part) -> Groups:
        if part.granularity == "filter":
            return filters(self._model, self._example)
        if self.traced is None:
            self.traced = trace(self._model, self._example, exact=False)
        return self.traced.groups("conv" if part.scope == "conv" else "all")


def groups_of(model: nn.Module, part: Part, example_inputs: Any) -> Groups:
    """The units of a part that cuts filters or channels.

    Raises:
        ModelError: The model fails on the example.
        ChannelError: The channels cannot be traced.
    """
    return _Units(model, example_inputs).of(part)
