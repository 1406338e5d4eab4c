"""GraSP: connections whose loss leaves the gradient its flow go first."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("gradient-flow")
def grasp(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """How much each unit adds to the squared norm of the gradient, to first order.

    `w * Hg`: minus the score `S(-w) = -w * Hg` of Wang, Zhang and Grosse 2020, "Picking winning
    tickets before training by preserving gradient flow", arXiv 2002.07376, section 4, of which
    the paper takes the highest away. `g` and `H` are those of the mean loss over the batches; the
    authors' code divides the logits by a temperature of 200 beforehand, which a loss of one's own
    can do. It is meant for a network as it was initialised.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `gradient-flow` is of the same shape.

    Returns:
        Shape `[units]`, float64; negative where the gradient flows better without.

    Raises:
        MaskError: Nothing was gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"gradient-flow": {"w": torch.tensor([[0.5, -1.0]])}})
        >>> grasp("w", torch.tensor([[2.0, 3.0]]), known).tolist()
        [-2.0]
    """
    flow = statistics.of("gradient-flow", parameter).to(rows.device)
    return (rows.double() * flow.double()).sum(dim=1)
