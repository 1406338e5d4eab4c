"""Allocation: scores and a sparsity become the exact set of units that is kept.

The rules, the same for single weights and for whole channels:

- The units of a scope are ranked by score, lowest first; of equal scores the earlier unit (in the
  order of the layers, then of the index) goes first. So masks do not depend on the machine.
- Units are cut in that order. The number cut is the one whose weights come nearest to
  `sparsity x weights in scope`, computed exactly in rationals; of two equally near, the smaller.
- Units that were pruned before rank below all others and stay pruned: masks nest.
- Floor: the best unit of each layer is never cut, so no layer is ever emptied; nor are the best
  ones of a protected share of its units, rounded up. Where the ranking would have cut one, the
  layer is reported as floored.
- Multiples: where a layer's units are to be kept by the `multiple`, the number kept is rounded to
  the nearest one (of two equally near, the larger), at least one; a layer that has fewer units
  left than that keeps them all. The best units stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.request import checked_sparsity, checked_word
from secateur.pruning.selection import Ranked, select

Ranking = Literal["global", "layer", "output"]


@dataclass(frozen=True)
class Candidates:
    """The units of one layer.

    Attributes:
        layer: The layer's name, for reports and errors.
        scores: Floating, shape `[units]`; higher = keep.
        sizes: int64 `[units]`: how many weights each unit takes with it, or one number for all.
        pruned: bool `[units]`: pruned before; None for none.
        multiple: The number kept is a multiple of this.
        most: The highest share of the units' weights that may go.
        protected: The share of the units that stay.
    """

    layer: str
    scores: Tensor
    sizes: Tensor | int = 1
    pruned: Tensor | None = None
    multiple: int = 1
    most: float = 1.0
    protected: float = 0.0


@dataclass(frozen=True)
class Allocation:
    """What is kept.

    Attributes:
        kept: Per layer, in the order given, bool `[units]`.
        floored: Layers in which the floor, the protected share or the highest sparsity kept a unit
            that the ranking would have cut.
    """

    kept: tuple[Tensor, ...]
    floored: tuple[str, ...]


def allocate(
    layers: Sequence[Candidates],
    sparsity: float,
    ranking: Ranking = "global",
    total: int | None = None,
) -> Allocation:
    """Choose the units to keep.

    Args:
        layers: The units, layer by layer, in the order that breaks ties.
        sparsity: Share of the weights to cut, in [0, 1).
        ranking: `global` ranks all units together, `layer` each layer by itself; so does `output`,
            whose scores are places within an output (`within_outputs`).
        total: For the global ranking, the weights that the sparsity is a share of, where that is
            more than the candidates hold (some channels may be pinned).

    Raises:
        MaskError: The sparsity is out of range, or a score is not finite.

    Example:
        >>> scores = torch.tensor([3.0, 1.0, 2.0, 1.0])
        >>> allocate([Candidates("fc", scores)], 0.5).kept[0].tolist()
        [True, False, True, False]
    """
    share = share_of(checked_sparsity(sparsity))
    checked_word("ranking", ranking, Ranking)
    for layer in layers:
        check_finite(layer.layer, layer.scores)
    if not layers:
        return Allocation((), ())
    if ranking == "global":
        chosen = _ranked(layers, share, total)
    else:
        each = [_ranked([layer], share, None) for layer in layers]
        chosen = Allocation(
            tuple(one.kept[0] for one in each), tuple(name for one in each for name in one.floored)
        )
    kept = tuple(in_multiples(*pair) for pair in zip(layers, chosen.kept, strict=True))
    return Allocation(kept, chosen.floored)


def in_multiples(layer: Candidates, kept: Tensor) -> Tensor:
    """The best units of a layer, as many as the multiple nearest to the number kept."""
    step = layer.multiple
    if step == 1:
        return kept
    scores = effective(layer)
    left = scores.numel() - int(torch.isneginf(scores).sum())
    if left == 0:
        return kept
    whole = left // step * step
    nearest = (2 * int(kept.sum()) + step) // (2 * step) * step
    held = -(-int(beyond(layer).sum()) // step) * step
    count = max(nearest, step, held)
    if count > whole:
        count = left if held > whole else whole or left
    best = torch.sort(scores, stable=True).indices[scores.numel() - count :]
    return torch.zeros_like(kept).index_fill(0, best, True)


def check_finite(layer: str, scores: Tensor) -> None:
    """Refuse scores that are no numbers.

    Raises:
        MaskError: One is NaN or infinite.
    """
    if not is_finite(scores):
        bad = int((~torch.isfinite(scores)).sum())
        raise MaskError(
            "prune",
            layer,
            given=f"a layer with {bad} of {scores.numel()} scores NaN or infinite",
            expected="finite weights",
            remedy="Training has diverged before this point: lower the learning rate, clip "
            "gradients, or prune an earlier checkpoint.",
        )


def is_finite(values: Tensor) -> bool:
    """Whether no element is NaN or infinite, found without a copy.

    Example:
        >>> is_finite(torch.tensor([1.0, 2.0])), is_finite(torch.tensor([1.0, math.nan]))
        (True, False)
    """
    if values.numel() == 0 or not (values.is_floating_point() or values.is_complex()):
        return True
    parts = torch.view_as_real(values.detach()) if values.is_complex() else values.detach()
    return all(math.isfinite(float(end)) for end in torch.aminmax(parts))


def _ranked(layers: Sequence[Candidates], share: Fraction, total: int | None) -> Allocation:
    alike = {layer.sizes if isinstance(layer.sizes, int) else 0 for layer in layers}
    if alike.isdisjoint({0}) and len(alike) == 1:
        return _ranked_alike(layers, share, total, alike.pop())
    return _ranked_units(layers, share, total)


def _ranked_alike(
    layers: Sequence[Candidates], share: Fraction, total: int | None, size: int
) -> Allocation:
    """Single weights, or units of one size, of which there may be very many: selected, not sorted.

    The cut ends at the number of them that is nearest to what is wanted.
    """
    ranked = Ranked(
        [layer.scores.detach() for layer in layers],
        [layer.pruned for layer in layers],
        [fewest(layer) for layer in layers],
    )
    target = share * (ranked.count if total is None else Fraction(total, size))
    wanted = nearest_count(target, ranked.count)
    kept, floored = select(ranked, max(wanted, ranked.gone))
    return Allocation(tuple(kept), tuple(layers[number].layer for number in floored))


def nearest_count(target: Fraction, most: int) -> int:
    """The whole number nearest to a target, of two equally near the smaller; no more than `most`.

    Example:
        >>> nearest_count(Fraction(3, 2), 4), nearest_count(Fraction(8, 5), 4)
        (1, 2)
    """
    return min(math.ceil(target - Fraction(1, 2)), most)


def weights_to_cut(layer: Candidates, sparsity: float) -> tuple[int, bool]:
    """How many single weights go of a layer that is ranked by itself, whatever ranks them.

    Args:
        layer: The weights; nothing is read of their scores but how many there are.
        sparsity: Share of them to cut, in [0, 1).

    Returns:
        Their number, with those that are gone already, and whether the floor makes it smaller.

    Raises:
        MaskError: The sparsity is out of range.

    Example:
        >>> weights_to_cut(Candidates("fc", torch.zeros(7)), 0.5)
        (3, False)
    """
    count = layer.scores.numel()
    gone = 0 if layer.pruned is None else int(layer.pruned.count_nonzero())
    wanted = max(gone, nearest_count(share_of(checked_sparsity(sparsity)) * count, count))
    most = max(gone, count - min(fewest(layer), count))
    return min(wanted, most), wanted > most


def _ranked_units(layers: Sequence[Candidates], share: Fraction, total: int | None) -> Allocation:
    """Units of several sizes: sorted.

    The cut ends where the weights of the units come nearest to what is wanted.
    """
    scores = torch.cat([effective(layer) for layer in layers])
    sizes = torch.cat([sizes_of(layer) for layer in layers])
    owner = torch.repeat_interleave(
        torch.arange(len(layers), device=scores.device),
        torch.tensor([layer.scores.numel() for layer in layers], device=scores.device),
    )
    order = torch.sort(scores, stable=True).indices
    wanted = _nearest(sizes[order], share * (total or int(sizes.sum())), scores[order])

    best = _best_of_each(order, owner, len(layers))
    protected = torch.zeros_like(scores, dtype=torch.bool)
    protected[best] = ~torch.isneginf(scores[best])
    protected |= torch.cat([beyond(layer) for layer in layers])
    bitten = owner[order[:wanted]][protected[order[:wanted]]]

    free = order[~protected[order]]
    cut = free[: _nearest(sizes[free], share * (total or int(sizes.sum())), scores[free])]
    kept = torch.ones_like(protected)
    kept[cut] = False
    return Allocation(
        torch.split(kept, [layer.scores.numel() for layer in layers]),
        tuple(layers[i].layer for i in sorted(set(bitten.tolist()))),
    )


def beyond(layer: Candidates) -> Tensor:
    """Bool `[units]`: the best ones, without which the layer would lose more than it may."""
    found = torch.zeros_like(layer.scores, dtype=torch.bool)
    if layer.most == 1 and not layer.protected:
        return found
    scores, sizes = effective(layer), sizes_of(layer)
    order = torch.sort(scores, stable=True).indices
    most = math.floor(share_of(layer.most) * int(sizes.sum()))
    found[order] = torch.cumsum(sizes[order], 0) > most
    found[order[scores.numel() - math.ceil(share_of(layer.protected) * scores.numel()) :]] = True
    return found & ~torch.isneginf(scores)


def share_of(number: float) -> Fraction:
    """A share as the decimal number that was written."""
    return Fraction(repr(number))


def fewest(layer: Candidates) -> int:
    """How many single weights of a layer are never cut: the floor keeps one."""
    count = layer.scores.numel()
    protected = math.ceil(share_of(layer.protected) * count)
    return max(1, protected, count - math.floor(share_of(layer.most) * count))


def effective(layer: Candidates) -> Tensor:
    """The scores; of what was pruned before, minus infinity."""
    scores = layer.scores.detach()
    return scores if layer.pruned is None else scores.masked_fill(layer.pruned, -math.inf)


def sizes_of(layer: Candidates) -> Tensor:
    """int64 `[units]`: how many weights each unit takes with it."""
    if isinstance(layer.sizes, Tensor):
        return layer.sizes
    return torch.full(layer.scores.shape, layer.sizes, device=layer.scores.device)


def _best_of_each(order: Tensor, owner: Tensor, layers: int) -> Tensor:
    """Per layer, the unit that the ranking would cut last."""
    rank = torch.empty_like(order)
    rank[order] = torch.arange(order.numel(), device=order.device)
    last = torch.full((layers,), -1, device=order.device).scatter_reduce(0, owner, rank, "amax")
    return order[last[last >= 0]]


def _nearest(sizes: Tensor, target: Fraction, scores: Tensor) -> int:
    """How many of the first units hold the number of weights nearest to `target`."""
    already = int(torch.isneginf(scores).sum())
    held = torch.cumsum(sizes, 0)
    below = int(torch.searchsorted(held, math.floor(target), right=True))
    if below < held.numel():
        short = target - (int(held[below - 1]) if below else 0)
        if int(held[below]) - target < short:
            below += 1
    return max(below, already)
