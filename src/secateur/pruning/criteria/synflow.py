"""SynFlow: weights that little flows through go first; no data are looked at."""

from __future__ import annotations

from torch import Tensor

from secateur.pruning.criterion import Statistics, needs


@needs("synaptic-flow")
def synflow(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """The synaptic flow through each weight, summed over each unit.

    `|w| dR/d|w|` (Tanaka, Kunin, Yamins and Ganguli 2020, "Pruning neural networks without any data
    by iteratively conserving synaptic flow", arXiv 2006.05467, equation 2). What flows into a
    neuron flows out of it, so a layer of few weights scores high in each; cut little by little and
    scored anew each time (the method's `rounds`), no layer is emptied before it must be.

    Args:
        parameter: The weight's name.
        rows: Shape `[units, weights per unit]`.
        statistics: Its `synaptic-flow` is of the same shape.

    Returns:
        Shape `[units]`, float64.

    Raises:
        MaskError: Nothing was gathered for this weight.

    Example:
        >>> import torch
        >>> known = Statistics(gathered={"synaptic-flow": {"w": torch.tensor([[0.5, 1.0]])}})
        >>> synflow("w", torch.tensor([[2.0, -3.0]]), known).tolist()
        [4.0]
    """
    flow = statistics.of("synaptic-flow", parameter).to(rows.device)
    return (rows.double().abs() * flow.double()).sum(dim=1)
