"""Brain surgeon: the weights of a layer cut column by column, those behind making up for it.

With the weights `W [outputs, inputs]` of a layer and the moments `H` of its inputs, the squared
error of its output is `tr((W - V) H (W - V)^T)` for other weights `V`. When weight `j` of an output
is cut, the change of the weights behind it that raises the error least is

    w_i -= w_j / d_j  U_ji,   d_j = U_jj

with the upper triangular `U` of which `H^-1 = U^T U` (Hassibi and Stork 1992; Frantar and Alistarh
2023, arXiv 2301.00774, algorithm 1): row `j` of `U` is, but for a factor, row `j` of the inverse of
`H` without the columns before it. The error grows by `(w_j / d_j)^2`. Columns before `j` are never
touched again, so all outputs go through the same inverses, whatever each of them keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from secateur.errors import MaskError

Choose = Callable[[Tensor, int], Tensor]
"""From some columns as they are by then, `[groups, columns, outputs]`, and the number of the first
to what is cut of them, bool of the same shape."""


def inverse_factor(name: str, moments: Tensor, damping: float) -> Tensor:
    """The upper triangular `U` with `(H + lambda I)^-1 = U^T U`.

    `lambda` is the damping times the mean of the diagonal: an input that is zero everywhere has so
    small a moment, and nothing makes up for its weights. Where all inputs are zero everywhere, `U`
    is the identity, which any damping gives but for a factor: weights go by their magnitude.

    Args:
        name: The weight's name, for errors.
        moments: `H`, shape `[groups, inputs, inputs]`.
        damping: Above 0.

    Returns:
        float64, shape `[groups, inputs, inputs]`.

    Raises:
        MaskError: `H` is no matrix of moments, or too ill-conditioned.

    Example:
        >>> found = inverse_factor("w", torch.tensor([[[2.0, 0.0], [0.0, 14.0]]]), 0.25)
        >>> found.tolist()
        [[[0.5, 0.0], [0.0, 0.25]]]
    """
    unit = torch.eye(moments.shape[1], dtype=torch.float64, device=moments.device)
    scale = moments.diagonal(dim1=1, dim2=2).double().mean()
    if scale == 0:
        return unit.expand(moments.shape)
    # From behind: H = R R^T with R upper triangular, so that U is the inverse of R.
    lower = moments.flip(1, 2).double()
    lower.diagonal(dim1=1, dim2=2).add_(damping * scale)
    lower, failed = torch.linalg.cholesky_ex(lower)
    if bool(failed.any()):
        raise MaskError(
            "reconstructing",
            name,
            given="a layer whose inputs have moments that cannot be inverted",
            expected="a positive definite matrix",
            remedy="Raise the option damping, or give more data.",
        )
    found: Tensor = torch.linalg.solve_triangular(lower, unit, upper=False).flip(1, 2)
    return found


def cut_columns(
    weight: Tensor, factor: Tensor, choose: Choose, *, steps: Sequence[int], block: int
) -> tuple[Tensor, Tensor]:
    """Cut a layer's weights, and let those behind each make up for it.

    Args:
        weight: float64, shape `[groups, outputs, inputs]`.
        factor: `U` of each group's inputs, `[groups, inputs, inputs]`.
        choose: Says what is cut of the next columns; asked once for each of the steps.
        steps: How many columns are chosen from at once, from the first to the last.
        block: So many columns, and what is left of the step that they end in, come before those
            behind them all are brought up to date. It changes the work, not the result.

    Returns:
        What is kept, bool, and the weights that are left, both of the weight's shape.

    Example:
        >>> moments = torch.tensor([[[1.0, 0.5], [0.5, 1.0]]], dtype=torch.float64)
        >>> factor = inverse_factor("w", moments, 1e-9)
        >>> first = lambda columns, start: torch.full_like(columns, start == 0, dtype=torch.bool)
        >>> kept, left = cut_columns(
        ...     torch.tensor([[[2.0, 4.0]]]).double(), factor, first, steps=[1, 1], block=2
        ... )
        >>> kept.tolist(), [round(one, 6) for one in left[0, 0].tolist()]
        ([[[False, True]]], [0.0, 5.0])
    """
    left = weight.transpose(1, 2).contiguous()  # each column's outputs side by side
    gone = torch.zeros_like(left, dtype=torch.bool)
    for own in _blocks(steps, block):
        start, stop = own[0], own[-1]
        errors = torch.zeros_like(left[:, start:stop])
        for first, last in pairwise(own):
            gone[:, first:last] = choose(left[:, first:last], first)
            for now in range(first, last):
                row = factor[:, now, now:stop]
                error = left[:, now] * gone[:, now] / row[:, :1]
                left[:, now:stop].baddbmm_(row.unsqueeze(2), error.unsqueeze(1), alpha=-1)
                errors[:, now - start] = error
        behind = factor[:, start:stop, stop:].transpose(1, 2)
        left[:, stop:].baddbmm_(behind, errors, alpha=-1)
    left.masked_fill_(gone, 0.0)
    return gone.logical_not_().transpose(1, 2), left.transpose(1, 2)


def _blocks(steps: Sequence[int], block: int) -> Iterator[list[int]]:
    """Where the steps of each block begin, and where its last one ends."""
    own = [0]
    for step in steps:
        own.append(own[-1] + step)
        if own[-1] - own[0] >= block:
            yield own
            own = own[-1:]
    if len(own) > 1:
        yield own
