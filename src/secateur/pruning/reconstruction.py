"""Reconstruction: layers cut by themselves, whose weights that are left make up for the others.

Each layer's inputs are those of the network before the cut, which one pass over the data has shown;
the paper of SparseGPT runs the layers before it anew once they are cut, which takes a pass for each
layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.granularity import WEIGHT, NOfM, n_of_m
from secateur.pruning.allocation import Candidates, check_finite
from secateur.pruning.brain_surgeon import cut_columns, inverse_factor
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.column_choice import Choice, FromGroups, FromShares
from secateur.pruning.criterion import MOMENTS, RESIDUALS, Criterion, Statistics, scored
from secateur.pruning.densities import LayerShape
from secateur.pruning.layer_counts import cuts_by_layer
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.n_of_m import gone_of_each
from secateur.pruning.statistics.input_moments import LARGEST
from secateur.pruning.weight_matrix import WeightMatrix
from secateur.pruning.weights import Weight
from secateur.registry import CRITERIA

BLOCK, DAMPING = 128, 0.01
"""What the options `block` and `damping` are where a method has none."""


def check_reconstructed(part: Part) -> None:
    """Refuse a cut that cannot be reconstructed.

    Raises:
        MaskError: It is not of weights, single ones or `n:m`, or does not go layer by layer.
    """
    if n_of_m(part.granularity) is not None:
        return
    for subject, given, expected, said in (
        ("the granularity", part.granularity, WEIGHT, "'weight', or n of m as '2:4'"),
        ("the ranking", part.ranked, "layer", "'layer'"),
    ):
        if given != expected:
            raise MaskError(
                "prune",
                subject,
                given=f"{given!r} with the criterion {part.criterion!r}",
                expected=f"{said}: each layer is cut and reconstructed by itself",
                remedy="Leave it out, or choose another criterion.",
            )


def cut_and_reconstruct(
    model: nn.Module,
    pools: Sequence[Pool],
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    previous: Masks,
    shapes: Mapping[str, LayerShape],
) -> Masks:
    """Cut weights layer by layer, by a criterion that reconstructs.

    Args:
        model: The network, which is left as it is.
        pools: The layers, and the share of each that goes.
        part: The cut.
        chosen: Says how much of a layer may go.
        statistics: They hold `input-moments`.
        previous: What is gone already.
        shapes: The network's layers by the names of their weights, where an allocation asks.

    Returns:
        The masks, which know the weights that are left.

    Raises:
        MaskError: The moments of a layer are not known, or its weight is computed.
    """
    kept, rewritten, floored = {}, {}, []
    for pool in pools:
        layers = {
            name: _Layer(model, weight, part, statistics, previous.get(name), chosen.most(weight))
            for name, weight in pool.weights.items()
        }
        choices = _choices(list(layers.values()), pool.sparsity, part, statistics, shapes)
        for (name, layer), (choice, bitten) in zip(layers.items(), choices, strict=True):
            kept[name], left = layer.cut(choice)
            if left is not None:
                rewritten[name] = left
            if bitten:
                floored.append(name)
    masks = Masks(kept, tuple(floored))
    masks.rewritten = rewritten
    return masks


def _choices(
    layers: Sequence[_Layer],
    sparsity: float,
    part: Part,
    statistics: Statistics,
    shapes: Mapping[str, LayerShape],
) -> list[tuple[Choice, bool]]:
    """What is chosen from each layer's columns, and whether a limit makes it less than asked."""
    pattern = n_of_m(part.granularity)
    if pattern is not None:
        return [layer.from_groups(pattern, sparsity) for layer in layers]
    candidates = [layer.candidates for layer in layers]
    own = [shapes[one.layer] for one in candidates] if part.by_layer else []
    counts = cuts_by_layer(part, candidates, own, sparsity, statistics)
    return [
        (layer.from_shares(count), bitten)
        for layer, (count, bitten) in zip(layers, counts, strict=True)
    ]


class _Layer:
    """One layer's weight as matrices, one for each group, and what is known of it.

    Their columns are in the order of the weight; for `n:m` those of one place of the kernel lie
    side by side.
    """

    def __init__(
        self,
        model: nn.Module,
        weight: Weight,
        part: Part,
        statistics: Statistics,
        before: Tensor | None,
        most: float,
    ) -> None:
        self._weight, self._statistics = weight, statistics
        self._criterion: Criterion = CRITERIA[part.criterion]
        self._pattern = n_of_m(part.granularity)
        self._value = weight.value
        self._layout = WeightMatrix.of(model.get_submodule(weight.module), self._value.shape)
        gone = torch.zeros_like(self._value, dtype=torch.bool)
        self._gone = self._matrix(gone if before is None else ~before.to(gone.device))
        self._block = int(statistics.options.get("block", BLOCK))
        self.candidates = Candidates(
            weight.name, self._value.reshape(-1), pruned=self._gone.reshape(-1), most=most
        )

    def from_shares(self, count: int) -> Choice:
        """So many single weights, with those that are gone."""
        return FromShares(self._gone, count, self._block)

    def from_groups(self, pattern: NOfM, sparsity: float) -> tuple[Choice, bool]:
        """As many of each group as a sparsity asks for, and whether a limit makes it less."""
        each, bitten = gone_of_each(self.candidates, self._layout, pattern, sparsity)
        runs = [self._layout.inputs] * self._layout.kernel
        return FromGroups(self._gone, each, pattern.size, runs), bitten

    def cut(self, choice: Choice) -> tuple[Tensor, Tensor | None]:
        """Cut what is chosen: the mask, and the weights that are left, where any changes."""
        moments = self._moments()
        weight = self._matrix(self._value)
        if not choice.cuts and not bool(weight[self._gone].any()):
            return self._tensor(~self._gone), None
        damping = self._statistics.options.get("damping", DAMPING)
        factor = inverse_factor(self._weight.name, moments, damping)
        residuals = factor.diagonal(dim1=1, dim2=2).square().reciprocal()

        def choose(columns: Tensor, start: int) -> Tensor:
            now = columns.transpose(1, 2)
            return choice.of(self._scores(now, residuals, start), start).transpose(1, 2)

        kept, left = cut_columns(
            weight.double(), factor, choose, steps=choice.steps, block=self._block
        )
        return self._tensor(kept), self._tensor(left).to(self._value.dtype)

    def _scores(self, columns: Tensor, residuals: Tensor, start: int) -> Tensor:
        """The criterion's scores of some columns `[groups, outputs, columns]`, as they are now."""
        stop = start + columns.shape[2]
        name, shape = self._weight.name, self._value.shape
        here = {
            need: self._matrix(table[name].to(columns.device))[..., start:stop]
            for need, table in self._statistics.gathered.items()
            if name in table and table[name].shape == shape
        }
        here[RESIDUALS] = residuals[:, None, start:stop].expand(columns.shape)
        rows = {need: {name: one.reshape(-1, 1)} for need, one in here.items()}
        known = replace(self._statistics, gathered={**self._statistics.gathered, **rows})
        scores = scored(self._criterion, name, columns.reshape(-1, 1), known)
        check_finite(name, scores)
        return scores.reshape(columns.shape)

    def _moments(self) -> Tensor:
        moments = _moments(self._weight, self._layout.groups, self._statistics)
        if self._pattern is None:
            return moments.to(self._value.device)
        order = torch.arange(moments.shape[1]).reshape(self._layout.inputs, self._layout.kernel)
        order = order.T.reshape(-1).to(moments.device)
        return moments[:, order][:, :, order].to(self._value.device)

    def _matrix(self, values: Tensor) -> Tensor:
        """`[groups, outputs of a group, weights of an output]`."""
        laid = self._layout.of_tensor(values)
        return (laid if self._pattern is None else laid.transpose(2, 3)).flatten(2)

    def _tensor(self, matrix: Tensor) -> Tensor:
        """The way back, to the weight's shape."""
        layout = self._layout
        if self._pattern is not None:
            run = (layout.groups, layout.outputs, layout.kernel, layout.inputs)
            matrix = matrix.reshape(run).transpose(2, 3)
        return layout.to_tensor(matrix)


def _moments(weight: Weight, groups: int, statistics: Statistics) -> Tensor:
    """The moments of a layer's inputs, checked.

    Raises:
        MaskError: They are not known, or do not fit.
    """
    given: Any = None
    inputs = weight.value[0].numel()
    expected = (groups, inputs, inputs)
    if weight.computed is not None:
        given = f"computed ({weight.computed.name}), so that it cannot be rewritten"
    elif inputs > LARGEST and weight.name not in statistics.gathered.get(MOMENTS, {}):
        given = f"of a layer with {inputs} weights an output, where {LARGEST} are the most"
    else:
        moments = statistics.of(MOMENTS, weight.name)
        if tuple(moments.shape) == expected:
            return moments
        given = f"a weight with {MOMENTS} of shape {tuple(moments.shape)}"
    raise MaskError(
        "reconstructing",
        weight.name,
        given=given,
        expected=f"a plain parameter with {MOMENTS} of shape {expected}",
        remedy="Leave the layer out by exclude, or choose a criterion that only scores, as wanda.",
    )
