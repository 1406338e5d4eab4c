"""Cut alone: each layer of a network cut at a few levels, scored, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from secateur.errors import MaskError
from secateur.foundation.granularity import BRANCH
from secateur.point import Score, Share
from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.criterion import Statistics
from secateur.pruning.group_masks import layer_weights
from secateur.pruning.groups import Groups
from secateur.pruning.layers import ALL_LAYERS, Layers
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.n_of_m import check_level
from secateur.pruning.select import cut
from secateur.pruning.sensitivity import LayerCut, Sensitivity
from secateur.pruning.weights import Tied, Weight, in_scope, sorted_weights
from secateur.verbs.units import groups_of


def cut_each_layer(
    model: nn.Module,
    method: str,
    parts: Sequence[Part],
    levels: Sequence[float],
    score: Callable[[nn.Module], Score],
    *,
    example_inputs: Any = None,
    statistics: Statistics | None = None,
    tied: Tied = "keep",
    layers: Layers = ALL_LAYERS,
    on_cut: Callable[[LayerCut], None] | None = None,
) -> Sensitivity:
    """Cut each layer alone, score the network, and put the layer back, bit by bit.

    Args:
        model: The network; as it was afterwards, also where scoring fails.
        method: The method's name.
        parts: Its cuts.
        levels: Sparsities, each of one layer.
        score: Scores the network on validation data.
        example_inputs: A batch that the model accepts; needed for channels.
        statistics: What the criteria read beside the weights.
        tied: Whether a matrix that an embedding shares is a weight.
        layers: Those that are tried.
        on_cut: Told of each cut as soon as it is scored.

    Returns:
        The score of each cut. Channels that several layers compute go from all of them.

    Raises:
        MaskError: A pattern matches nothing, or statistics are missing.
        ChannelError: The channels cannot be traced.
    """
    found = sorted_weights(
        model, example_inputs=example_inputs, tied=tied, prunable=layers.prunable
    ).weights
    for level in levels:
        check_level(parts, [level])
    chosen = ChosenLayers(model, layers)
    chosen.check(found)
    whole, cuts = score(model), []
    for part in parts:
        _check_leaves_something(part)
        part = replace(part, allocation="")  # of one layer there is nothing to share out
        own = in_scope(found, part.scope, type(model).__name__)
        units = None
        if part.cuts_channels:
            units, _ = chosen.free(groups_of(model, part, example_inputs, layers), found, 0.0)
        for layer in _layers(units, own, chosen):
            for level in levels:
                masks = cut(
                    model,
                    [part],
                    [tuple((weight.name, level) for weight in layer)],
                    groups_of=None if units is None else _always(units),
                    statistics=statistics,
                    example_inputs=example_inputs,
                    tied=tied,
                    layers=layers,
                )
                with _applied(masks, model):
                    made = LayerCut(
                        layer[0].name,
                        tuple(weight.name for weight in layer),
                        level,
                        _zeros(layer),
                        score(model),
                    )
                cuts.append(made)
                if on_cut:
                    on_cut(made)
    total = sum(weight.value.numel() for weight in found.values())
    return Sensitivity(method, whole, tuple(cuts), total)


def _check_leaves_something(part: Part) -> None:
    if part.granularity == BRANCH:
        raise MaskError(
            "cutting each layer alone",
            "the granularity",
            given=f"{BRANCH!r}, which goes with all its layers",
            expected="one that leaves some of a layer",
            remedy="Choose 'channel', 'filter' or 'head'; of branches compare cuts by prune.",
        )


def _always(units: Groups) -> Callable[[Part], Groups]:
    return lambda _: units


def _layers(
    units: Groups | None, weights: Mapping[str, Weight], chosen: ChosenLayers
) -> list[list[Weight]]:
    """What is cut alone: single weights, or those that compute the channels of one layer."""
    taken = {name: weight for name, weight in weights.items() if chosen.takes(weight)}
    if units is None:
        return [[weight] for weight in taken.values()]
    return list(layer_weights(units, taken).values())


def _zeros(layer: Sequence[Weight]) -> Share:
    values = [weight.value for weight in layer]
    zeros = sum(value.numel() - int(value.count_nonzero()) for value in values)
    return Share(zeros, sum(value.numel() for value in values))


@contextmanager
def _applied(masks: Masks, model: nn.Module) -> Iterator[None]:
    """The masks on the model for a while; then every masked parameter as it was."""
    parameters = masks.parameters_of(model)
    before = {name: one.detach().clone() for name, one in parameters.items()}
    masks.apply(model)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(before[name])
