"""Threshold selection: which of many single weights rank lowest, without sorting them.

A sort of all weights costs twenty times what finding the one value does at which the ranking is
cut. So only that value is looked for (a selection in place, on one copy of the scores), and then
each weight is compared with it; of those that are equal to it, the first ones go.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ranked:
    """Single weights, layer by layer, in the order that breaks ties.

    Attributes:
        scores: Per layer, floating, finite, one axis.
        pruned: Per layer, bool, or None for none: these rank below all others.
        held: Per layer, how many of the best are never cut, at least 1.
    """

    scores: Sequence[Tensor]
    pruned: Sequence[Tensor | None]
    held: Sequence[int]

    @property
    def count(self) -> int:
        """How many weights there are."""
        return sum(scores.numel() for scores in self.scores)

    @property
    def gone(self) -> int:
        """How many were pruned before."""
        return sum(_count(pruned) for pruned in self.pruned if pruned is not None)


@dataclass(frozen=True)
class _Best:
    """The weights of a layer that are never cut.

    Attributes:
        indices: int64.
        first: Which of them the ranking would cut first.
    """

    indices: Tensor
    first: int


def select(ranked: Ranked, wanted: int) -> tuple[list[Tensor], list[int]]:
    """Cut the `wanted` lowest weights, but never the best ones of a layer.

    Args:
        ranked: The weights.
        wanted: How many; at least as many as are gone already.

    Returns:
        Per layer what is kept, bool; and the layers of whose best the ranking would have cut some.

    Example:
        >>> ranked = Ranked([torch.tensor([3.0, 1.0, 2.0, 1.0])], [None], [1])
        >>> select(ranked, 2)[0][0].tolist()
        [True, False, True, False]
    """
    layers = zip(ranked.scores, ranked.pruned, ranked.held, strict=True)
    best = [_best(*layer) for layer in layers]
    guarded = sum(one.indices.numel() for one in best if one is not None)
    wanted = min(wanted, ranked.count)
    number = min(wanted, ranked.count - guarded)
    limit = _kth(ranked, best, number)
    kept = []
    below = [_below(ranked, layer, limit, best[layer]) for layer in range(len(best))]
    ties = number - sum(map(_count, below))
    for layer, cut in enumerate(below):
        if ties > 0:
            equal = _equal(ranked, layer, limit, best[layer])
            found = torch.nonzero(equal).squeeze(1)[:ties]
            cut[found] = True
            ties -= found.numel()
        kept.append(cut.logical_not_())
    # Where all that may go is cut, what is held of any layer may be the next in the ranking.
    reach = limit if number == wanted else math.inf
    return kept, _bitten(ranked, best, reach, wanted)


def _best(scores: Tensor, pruned: Tensor | None, held: int) -> _Best | None:
    """The weights of a layer that the ranking would cut last; None if it has none left."""
    left = scores.numel() - (0 if pruned is None else _count(pruned))
    if left == 0:
        return None
    if min(held, left) == 1:
        last = _last(scores, pruned)
        return _Best(torch.tensor([last], device=scores.device), last)
    flat = _comparable(scores)
    flat = flat if pruned is None else flat.masked_fill(pruned, -math.inf)
    count = min(held, left)
    limit = torch.kthvalue(flat, flat.numel() - count + 1).values
    above, equal = flat > limit, flat == limit
    ties = torch.nonzero(equal).squeeze(1)[_count(above) - count :]
    return _Best(torch.cat([ties, torch.nonzero(above).squeeze(1)]), int(ties[0]))


def _count(marks: Tensor) -> int:
    """How many are true; `sum` would make an int64 of each."""
    return int(torch.count_nonzero(marks))


def _last(scores: Tensor, pruned: Tensor | None) -> int:
    """The weight of a layer that the ranking would cut last, of those that are left."""
    equal = scores == scores.max()
    if pruned is not None:
        equal &= ~pruned
        if not equal.any():  # the best of all was pruned before
            equal = scores == scores.masked_fill(pruned, -math.inf).max()
            equal &= ~pruned
    return scores.numel() - 1 - int(equal.flip(0).view(torch.uint8).argmax())


def _kth(ranked: Ranked, best: Sequence[_Best | None], number: int) -> float:
    """The `number`-th smallest of the weights that may go; -inf for those that are gone."""
    if number == 0:
        return -math.inf
    flat = _comparable(torch.cat([scores.detach() for scores in ranked.scores]))
    start = 0
    for scores, pruned, one in zip(ranked.scores, ranked.pruned, best, strict=True):
        part = flat[start : start + scores.numel()]
        if pruned is not None:
            part.masked_fill_(pruned, -math.inf)
        if one is not None:
            part[one.indices] = math.inf
        start += scores.numel()
    if flat.device.type == "cpu":
        values = flat.numpy()
        values.partition(number - 1)
        return float(values[number - 1])
    return float(torch.kthvalue(flat, number).values)


def _comparable(scores: Tensor) -> Tensor:
    """The scores in a type that can be selected from."""
    half = scores.dtype in (torch.float16, torch.bfloat16)
    return scores.detach().float() if half else scores.detach()


def _below(ranked: Ranked, layer: int, limit: float, best: _Best | None) -> Tensor:
    cut = ranked.scores[layer] < limit
    pruned = ranked.pruned[layer]
    if pruned is not None:
        cut |= pruned
    if best is not None:
        cut[best.indices] = False
    return cut


def _equal(ranked: Ranked, layer: int, limit: float, best: _Best | None) -> Tensor:
    equal = ranked.scores[layer] == limit
    pruned = ranked.pruned[layer]
    if pruned is not None:
        equal &= ~pruned
    if best is not None:
        equal[best.indices] = False
    return equal


def _bitten(ranked: Ranked, best: Sequence[_Best | None], reach: float, wanted: int) -> list[int]:
    """The layers of whose best some are among the `wanted` lowest of all weights.

    Those above `reach` are not. Their order among each other is that of the ranking, so once one
    of them is, all lower ones are.
    """
    order = sorted(
        (float(ranked.scores[layer].detach()[one.first]), layer, one.first)
        for layer, one in enumerate(best)
        if one is not None
    )
    for place in range(len(order), 0, -1):
        score, layer, one = order[place - 1]
        if score <= reach and _rank(ranked, score, layer, one) < wanted:
            return sorted(layer for _, layer, _ in order[:place])
    return []


def _rank(ranked: Ranked, score: float, layer: int, index: int) -> int:
    """How many weights the ranking cuts before this one."""
    before = 0
    for number, (scores, pruned) in enumerate(zip(ranked.scores, ranked.pruned, strict=True)):
        lower = scores < score
        if number < layer:
            lower |= scores == score
        elif number == layer:
            lower[:index] |= scores[:index] == score
        if pruned is not None:
            lower |= pruned
        before += _count(lower)
    return before
