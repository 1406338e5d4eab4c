"""Masks of weights: scores of single weights, blocks or kernels become masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.granularity import WEIGHT, n_of_m
from secateur.pruning.allocation import Candidates, check_finite
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.criterion import SCORES, Statistics, scored
from secateur.pruning.densities import LayerShape
from secateur.pruning.layer_counts import allocate_part
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.n_of_m import keep_n_of_m
from secateur.pruning.normalize import normalized
from secateur.pruning.weight_matrix import WeightMatrix
from secateur.pruning.weight_units import WeightUnits, units_of
from secateur.pruning.weights import Weight, kind_of
from secateur.pruning.within_outputs import within_outputs
from secateur.registry import CRITERIA


def cut_weights(
    model: nn.Module,
    pools: Sequence[Pool],
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    previous: Masks,
    shapes: Mapping[str, LayerShape],
) -> Masks:
    """Score the weights of one part, or what goes of them together, and choose what is kept.

    Args:
        model: The network, which is left as it is.
        pools: The weights that are ranked at one sparsity each.
        part: Its criterion, granularity and ranking.
        chosen: The highest sparsity of each layer.
        statistics: What the criterion reads beside the weights.
        previous: What was cut before. A block is gone where all of it is; one that is not counts
            whole.
        shapes: The network's layers by the names of their weights, where an allocation asks.

    Returns:
        Masks of every weight; of one that is computed, of what it is computed from.

    Raises:
        MaskError: A score is not finite, or a weight cannot be cut so.
    """
    found = Masks({})
    for pool in pools:
        _check_maskable(pool.weights)
        layouts = [_layout(model, weight, part.granularity) for weight in pool.weights.values()]
        units = [units_of(layout, part.granularity) for layout in layouts]
        candidates = [
            _candidates(weight, one, part, chosen, statistics, previous)
            for weight, one in zip(pool.weights.values(), units, strict=True)
        ]
        pattern = n_of_m(part.granularity)
        if pattern is None:
            own = [shapes[name] for name in pool.weights] if part.by_layer else []
            allocated = allocate_part(part, candidates, own, pool.sparsity, statistics)
        else:
            allocated = keep_n_of_m(candidates, layouts, pattern, pool.sparsity)
        masks: dict[str, Tensor] = {}
        for weight, one, kept in zip(pool.weights.values(), units, allocated.kept, strict=True):
            masks |= _masks_of(weight, one.spread(kept))
        found = found.merged(Masks(masks, allocated.floored))
    return found


def _candidates(
    weight: Weight,
    units: WeightUnits,
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    previous: Masks,
) -> Candidates:
    value = weight.value
    rows = units.rows(value)
    before = previous.get(weight.name)
    pruned = None if before is None else ~units.rows(before.to(rows.device)).any(dim=1)
    if part.granularity != WEIGHT:
        _check_scores(weight, statistics)
    known = statistics.in_rows(weight.name, value, units.rows)
    scores = scored(CRITERIA[part.criterion], weight.name, rows, known)
    if n_of_m(part.granularity) is None:
        scores = _comparable(scores, weight.name, units, part, pruned)
    return Candidates(weight.name, scores, units.sizes, pruned, most=chosen.most(weight))


def _comparable(
    scores: Tensor, name: str, units: WeightUnits, part: Part, pruned: Tensor | None
) -> Tensor:
    """The scores as they are ranked with those of other outputs and layers."""
    if part.ranked == "output":
        check_finite(name, scores)
        last = scores if pruned is None else scores.masked_fill(pruned, -math.inf)
        return units.from_outputs(within_outputs(units.by_output(last)))
    return scores if part.rescaling == "none" else normalized(scores, part.rescaling, pruned)


def _layout(model: nn.Module, weight: Weight, granularity: str) -> WeightMatrix:
    """How a weight lies as a matrix; by shape only torch's own layers can be cut.

    Raises:
        MaskError: Where its inputs and outputs lie is not known.
    """
    module = model.get_submodule(weight.module)
    tables = nn.Embedding | nn.EmbeddingBag
    if granularity != WEIGHT and kind_of(module) is None and not isinstance(module, tables):
        raise MaskError(
            f"prune by {granularity}",
            weight.name,
            given=f"a weight of a {type(module).__name__}, which is no layer of torch's",
            expected="a layer that says which axis its inputs lie along",
            remedy=f"Leave it out by exclude={weight.name!r}, make it a torch layer, or prune by "
            "single weights.",
        )
    return WeightMatrix.of(module, weight.value.shape)


def _check_scores(weight: Weight, statistics: Statistics) -> None:
    """Refuse scores of whole channels where what goes is smaller.

    Raises:
        MaskError: They are such scores.
    """
    given = statistics.gathered.get(SCORES, {}).get(weight.name)
    if given is not None and given.shape != weight.value.shape:
        raise MaskError(
            "prune",
            "scores",
            given=f"of shape {tuple(given.shape)} for {weight.name}",
            expected=f"one for each weight, of shape {tuple(weight.value.shape)}",
            remedy="Pass scores of single weights, or prune by filter or channel.",
        )


def _masks_of(weight: Weight, kept: Tensor) -> dict[str, Tensor]:
    if weight.computed is None:
        return {weight.name: kept}
    prefix = f"{weight.module}." if weight.module else ""
    made = weight.computed.masks(weight.name.removeprefix(prefix), kept)
    return {prefix + ingredient: mask for ingredient, mask in made.items()}


def _check_maskable(weights: Mapping[str, Weight]) -> None:
    """A weight that is computed can be cut where a zero in an ingredient is a zero in it."""
    for name, weight in weights.items():
        if weight.computed is not None and not weight.maskable:
            raise MaskError(
                "prune",
                name,
                given=f"an ingredient of a weight that is computed ({weight.computed.name} of "
                f"{weight.module or 'the network'}), in which its zeros do not show",
                expected="weights that masks can zero",
                remedy=f"Make it an ordinary parameter first: {weight.computed.remedy}.",
            )
