"""N of m: in every group of `m` weights along the inputs, the `n` best are kept.

`2:4` is NVIDIA's fine-grained structured sparsity (Mishra et al. 2021, arXiv 2104.08378, section
3): of every four weights that an output reads one after the other, two are kept. Of a convolution
the groups run along its input channels, one row for each output and each place of the kernel (as
in NVIDIA's ASP), and never from one group of the convolution into the next.

Each group is by itself: a ranking across groups or layers has no say. A group at the end of a row
that `m` does not divide is what is left; it is filled up with zeros, which go first, so that it
keeps `n` weights, or all if it has no more. A layer that reads no more than `n` channels stays
whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import pad

from secateur.errors import MaskError
from secateur.foundation.granularity import NOfM, n_of_m
from secateur.pruning.allocation import Allocation, Candidates, check_finite
from secateur.pruning.layers import Sparsity, one_each
from secateur.pruning.method import Part
from secateur.pruning.request import checked_sparsity
from secateur.pruning.weight_matrix import WeightMatrix

_NEAR = 1e-9
_FEW = 16
"""Up to so many in a group, comparing each two takes less time than sorting."""


def keep_n_of_m(
    layers: Sequence[Candidates],
    layouts: Sequence[WeightMatrix],
    pattern: NOfM,
    sparsity: float,
) -> Allocation:
    """Choose the weights to keep.

    A layer that may not lose as much (`most`) stays as it is, and is reported as floored: the
    pattern holds for all of a layer or for nothing.

    Args:
        layers: Single weights, in the order of the weight.
        layouts: How each of the weights lies as a matrix.
        pattern: How many are kept of how many.
        sparsity: Below that of the pattern, as many go as `NOfM.gone` says.

    Returns:
        What is kept. Weights that were pruned before stay pruned.

    Raises:
        MaskError: The sparsity is out of range, or a score is not finite.

    Example:
        >>> scores = torch.tensor([3.0, 1.0, 2.0, 1.0, 0.0, 5.0])
        >>> layout = WeightMatrix(torch.Size([1, 6]), 1, 1, 6, 1)
        >>> keep_n_of_m([Candidates("fc", scores)], [layout], NOfM(2, 4), 0.5).kept[0].tolist()
        [True, False, True, False, True, True]
    """
    kept, floored = [], []
    for layer, layout in zip(layers, layouts, strict=True):
        check_finite(layer.layer, layer.scores)
        gone, stays = gone_of_each(layer, layout, pattern, sparsity)
        kept.append(_kept(layer, layout, pattern.size, gone))
        if stays:
            floored.append(layer.layer)
    return Allocation(tuple(kept), tuple(floored))


def gone_of_each(
    layer: Candidates, layout: WeightMatrix, pattern: NOfM, sparsity: float
) -> tuple[int, bool]:
    """How many weights go of each group of a layer.

    Args:
        layer: Single weights; nothing is read of their scores.
        layout: How the weight lies as a matrix.
        pattern: How many are kept of how many.
        sparsity: What is asked for.

    Returns:
        Their number, and whether it is none because the layer may not lose as much.

    Raises:
        MaskError: The sparsity is out of range.
    """
    gone = pattern.gone(checked_sparsity(sparsity))
    stays = gone > 0 and _most(layout, pattern) > Fraction(repr(layer.most))
    return 0 if stays else gone, stays


def _most(layout: WeightMatrix, pattern: NOfM) -> Fraction:
    """The share of a weight that the pattern takes."""
    full, rest = divmod(layout.inputs, pattern.size)
    gone = full * (pattern.size - pattern.kept) + max(0, rest - pattern.kept)
    return Fraction(gone, max(layout.inputs, 1))


def _kept(layer: Candidates, layout: WeightMatrix, size: int, gone: int) -> Tensor:
    scores = layer.scores.detach()
    if gone == 0 or not scores.numel():
        return torch.ones_like(scores, dtype=torch.bool) if layer.pruned is None else ~layer.pruned
    if layer.pruned is not None:
        scores = scores.masked_fill(layer.pruned, -math.inf)
    along = layout.of_tensor(scores).transpose(2, 3)
    count = math.ceil(layout.inputs / size)
    filled = pad(along, (0, count * size - layout.inputs), value=-math.inf)
    cut = lowest(filled.reshape(-1, size), gone)
    laid = cut.reshape(*filled.shape)[..., : layout.inputs].transpose(2, 3)
    kept = layout.to_tensor(~laid).reshape(-1)
    return kept if layer.pruned is None else kept & ~layer.pruned


def lowest(groups: Tensor, gone: int) -> Tensor:
    """Which of each group go: those of the lowest scores, of equal ones the earlier.

    Args:
        groups: Scores, one group along the last axis.
        gone: How many go of each.

    Returns:
        Bool of the same shape, `gone` true in each group.

    Example:
        >>> lowest(torch.tensor([[3.0, 1.0, 2.0, 1.0]]), 2).tolist()
        [[False, True, False, True]]
    """
    if groups.shape[-1] <= _FEW:
        return _counted(groups) < gone
    order = groups.argsort(dim=-1, stable=True)[..., :gone]
    cut = torch.zeros(groups.shape, dtype=torch.bool, device=groups.device)
    return cut.scatter_(-1, order, True)


def _counted(groups: Tensor) -> Tensor:
    """How many of its group go before each: the places of a stable sort, found without one."""
    places = torch.zeros(groups.shape, dtype=torch.uint8, device=groups.device)
    for later in range(groups.shape[-1]):
        for earlier in range(later):
            first = groups[..., earlier] <= groups[..., later]
            places[..., later] += first
            places[..., earlier] += ~first
    return places


def check_no_target(parts: Sequence[Part], target: object) -> None:
    """Refuse a target beside an `n:m`, which leaves no sparsity to be looked for.

    Raises:
        MaskError: There are both.
    """
    for part in parts:
        if n_of_m(part.granularity) is not None:
            raise MaskError(
                "prune",
                "the target",
                given=f"{target} with granularity {part.granularity!r}",
                expected="no target: what goes of each group is given",
                remedy="Leave it out, or choose another granularity.",
            )


def implied_level(parts: Sequence[Part]) -> list[Sparsity] | None:
    """The level of a method all of whose parts are `n:m`, which say it; None of any other.

    Example:
        >>> implied_level([Part("magnitude", "2:4", "all", "global")])
        [0.5]
    """
    patterns = [n_of_m(part.granularity) for part in parts]
    found: list[Sparsity] = [pattern.sparsity for pattern in patterns if pattern is not None]
    return found if len(found) == len(parts) else None


def check_level(parts: Sequence[Part], level: Sequence[Sparsity]) -> None:
    """Refuse a sparsity that an `n:m` contradicts.

    Raises:
        MaskError: One does, or there are too many for the parts.
    """
    for part, sparsity in zip(parts, one_each(len(parts), level), strict=True):
        shares = [share for _, share in sparsity] if isinstance(sparsity, tuple) else [sparsity]
        for share in shares:
            check_share(part.granularity, share)


def check_share(granularity: str, share: float) -> None:
    """Refuse a share that goes, where the granularity says another.

    Raises:
        MaskError: It does.
    """
    pattern = n_of_m(granularity)
    if pattern is not None and abs(share - pattern.sparsity) > _NEAR:
        raise MaskError(
            "prune",
            "the sparsity",
            given=f"{share:g} with granularity {granularity!r}",
            expected=f"{pattern.sparsity:.6g}: {pattern.kept} of every {pattern.size} weights are "
            "kept",
            remedy=f"Give {pattern.sparsity:.6g} or none at all, or choose another n:m.",
        )
