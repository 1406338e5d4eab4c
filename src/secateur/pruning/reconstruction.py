"""Reconstruction: layers cut by themselves, whose weights that are left make up for the others.

Each layer's inputs are those of the network before the cut, which one pass over the data has shown;
the paper of SparseGPT runs the layers before it anew once they are cut, which takes a pass for each
layer. The number of weights that go of a layer is that of any ranking by layer. From block to block
of its columns so many go that the number so far is the nearest whole one to an even share of those
that had not gone before; within a block the lowest scores go, of equal ones the earlier weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.allocation import Candidates, check_finite, weights_to_cut
from secateur.pruning.brain_surgeon import cut_columns, inverse_factor
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.criterion import MOMENTS, RESIDUALS, Criterion, Statistics, scored
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.statistics.input_moments import LARGEST
from secateur.pruning.weights import Weight
from secateur.registry import CRITERIA

BLOCK, DAMPING = 128, 0.01
"""What the options `block` and `damping` are where a method has none."""


def check_reconstructed(part: Part) -> None:
    """Refuse a cut that cannot be reconstructed.

    Raises:
        MaskError: It is not of single weights, or does not go layer by layer.
    """
    for subject, given, expected in (
        ("the granularity", part.granularity, "weight"),
        ("the ranking", part.ranking, "layer"),
    ):
        if given != expected:
            raise MaskError(
                "prune",
                subject,
                given=f"{given!r} with the criterion {part.criterion!r}",
                expected=f"{expected!r}: each layer is cut and reconstructed by itself",
                remedy="Leave it out, or choose another criterion.",
            )


def cut_and_reconstruct(
    model: nn.Module,
    pools: Sequence[Pool],
    part: Part,
    chosen: ChosenLayers,
    statistics: Statistics,
    previous: Masks,
) -> Masks:
    """Cut single weights layer by layer, by a criterion that reconstructs.

    Args:
        model: The network, which is left as it is.
        pools: The layers, and the share of each that goes.
        part: The cut.
        chosen: Says how much of a layer may go.
        statistics: They hold `input-moments`.
        previous: What is gone already.

    Returns:
        The masks, which know the weights that are left.

    Raises:
        MaskError: The moments of a layer are not known, or its weight is computed.
    """
    kept, rewritten, floored = {}, {}, []
    for pool in pools:
        for name, weight in pool.weights.items():
            layer = _Layer(model, weight, part, statistics, previous.get(name), chosen)
            count, bitten = weights_to_cut(layer.candidates, pool.sparsity)
            kept[name], left = layer.cut(count)
            if left is not None:
                rewritten[name] = left
            if bitten:
                floored.append(name)
    masks = Masks(kept, tuple(floored))
    masks.rewritten = rewritten
    return masks


class _Layer:
    """One layer's weight as a matrix for each group, and what is known of it."""

    def __init__(
        self,
        model: nn.Module,
        weight: Weight,
        part: Part,
        statistics: Statistics,
        before: Tensor | None,
        chosen: ChosenLayers,
    ) -> None:
        self._weight, self._statistics = weight, statistics
        self._criterion: Criterion = CRITERIA[part.criterion]
        self._groups = int(getattr(model.get_submodule(weight.module), "groups", 1))
        self._gone = torch.zeros_like(weight.parameter, dtype=torch.bool)
        if before is not None:
            self._gone = ~before.to(self._gone.device)
        self.candidates = Candidates(
            weight.name,
            weight.parameter.detach().reshape(-1),
            pruned=self._gone.reshape(-1),
            most=chosen.most(weight),
        )

    def cut(self, count: int) -> tuple[Tensor, Tensor | None]:
        """Cut so many weights: the mask, and the weights that are left, where any changes."""
        value = self._weight.parameter.detach()
        moments = _moments(self._weight, self._groups, self._statistics).to(value.device)
        if count == int(self._gone.sum()) and not bool(value[self._gone].any()):
            return ~self._gone, None
        options = self._statistics.options
        factor = inverse_factor(self._weight.name, moments, options.get("damping", DAMPING))
        block = min(int(options.get("block", BLOCK)), moments.shape[1])
        choice = _Choice(self, factor, count, block)
        kept, left = cut_columns(
            self.matrix(value).double(), factor, choice, step=block, block=block
        )
        return kept.reshape(value.shape), left.reshape(value.shape).to(value.dtype)

    def matrix(self, values: Tensor) -> Tensor:
        """`[groups, outputs of a group, weights of an output]`."""
        return values.reshape(self._groups, values.shape[0] // self._groups, -1)

    @property
    def gone(self) -> Tensor:
        """What was cut before, as a matrix."""
        return self.matrix(self._gone)

    def scores(self, columns: Tensor, residuals: Tensor, start: int) -> Tensor:
        """The criterion's scores of some columns `[groups, outputs, columns]`, as they are now."""
        stop = start + columns.shape[2]
        name, shape = self._weight.name, self._weight.parameter.shape
        here = {
            need: {name: self.matrix(table[name].to(columns.device))[..., start:stop]}
            for need, table in self._statistics.gathered.items()
            if name in table and table[name].shape == shape
        }
        here[RESIDUALS] = {name: residuals[:, None, start:stop].expand(columns.shape)}
        rows = {
            need: {name: one.reshape(-1, 1) for name, one in table.items()}
            for need, table in here.items()
        }
        known = replace(self._statistics, gathered={**self._statistics.gathered, **rows})
        scores = scored(self._criterion, name, columns.reshape(-1, 1), known)
        check_finite(name, scores)
        return scores


class _Choice:
    """Chooses from each block of columns as many weights as are its share."""

    def __init__(self, layer: _Layer, factor: Tensor, count: int, block: int) -> None:
        self._layer = layer
        self._residuals = factor.diagonal(dim1=1, dim2=2).square().reciprocal()
        self._block = block
        free = torch.split((~layer.gone).sum((0, 1)), block)
        self._shares = even_shares(count - int(layer.gone.sum()), [int(one.sum()) for one in free])

    def __call__(self, columns: Tensor, start: int) -> Tensor:
        now = columns.transpose(1, 2)
        gone = self._layer.gone[..., start : start + now.shape[2]].reshape(-1)
        scores = self._layer.scores(now, self._residuals, start)
        order = scores.masked_fill(gone, -torch.inf).argsort(stable=True)
        wanted = self._shares[start // self._block] + int(gone.sum())
        cut = torch.zeros_like(gone).index_fill_(0, order[:wanted], True)
        return cut.reshape(now.shape).transpose(1, 2)


def even_shares(count: int, sizes: Sequence[int]) -> list[int]:
    """Divide a count among blocks by their sizes, so that it comes out exactly.

    After each block the number so far is the whole one nearest to its share of the sizes so far; of
    two equally near, the smaller.

    Args:
        count: At most the sum of the sizes.
        sizes: Of the blocks.

    Example:
        >>> even_shares(5, [3, 3, 3]), even_shares(3, [2, 4])
        ([2, 1, 2], [1, 2])
    """
    total, so_far, shares = sum(sizes), 0, [0]
    for size in sizes:
        so_far += size
        shares.append((2 * count * so_far + total - 1) // (2 * total) if total else 0)
    return [after - before for before, after in pairwise(shares)]


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
