"""Variance correction: each output channel has the mean and the deviation from before the cut."""

from functools import partial

from secateur.pruning.repair import Repair
from secateur.pruning.repairs.moments import match

REPAIR = Repair(
    summary="Mean and standard deviation of every output channel, by the layer's weight and bias.",
    source="Jordan et al. 2023, REPAIR, arXiv 2211.08403",
    run=partial(match, kind="variance", scaling=True),
    needs_dense=True,
)
