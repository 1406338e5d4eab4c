"""SparseGPT: weights go first whose loss the others of their output can make up for."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import MOMENTS, RESIDUALS, Statistics, needs, reconstructing


@reconstructing
@needs(MOMENTS)
def sparsegpt(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The squared weight times what the inputs behind cannot explain of its own.

    `w_j^2 / [H_j^-1]_jj` with `H_j` the Hessian `X X^T + lambda I` of the inputs from `j` on
    (Frantar and Alistarh 2023, "SparseGPT: massive language models can be accurately pruned in
    one-shot", arXiv 2301.00774, equation 3 with algorithm 1; Hassibi and Stork 1992): by so much
    the squared error of the layer's output grows when the weight goes and those behind it make up
    for it as well as they can. `1 / [H_j^-1]_jj` is what is left of the mean square of input `j`
    once the inputs behind it have explained of it what they can, so this is Wanda's product with
    the residual of an input instead of the input.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`, as the weights are by then.
        statistics: Its `input-residuals` are of the same shape; reconstruction makes them of the
            `input-moments`.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: The inputs of this layer were not seen.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={RESIDUALS: {"w": torch.tensor([[4.0], [0.25]])}})
        >>> sparsegpt("w", torch.tensor([[-1.0], [3.0]]), known).tolist()
        [4.0, 2.25]
    """
    residuals = statistics.of(RESIDUALS, parameter).to(rows.device)
    return (rows.double().square() * residuals.double()).sum(dim=1)
