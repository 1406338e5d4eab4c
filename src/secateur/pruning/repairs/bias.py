"""Bias correction: each channel of each layer's output has the mean that it had before the cut."""

from functools import partial

from secateur.pruning.repair import Repair
from secateur.pruning.repairs.moments import match

REPAIR = Repair(
    summary="The mean of every output channel, brought back by the layer's bias.",
    source="Nagel et al. 2019, arXiv 1906.04721, section 4.2",
    run=partial(match, kind="bias", scaling=False),
    needs_dense=True,
)
