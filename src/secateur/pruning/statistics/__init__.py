"""Statistics: collectors gather what criteria need, each thing once, on training data."""

from secateur.pruning.statistics.gathering import (
    Batches,
    Collector,
    Loss,
    collected,
    gather,
    needs_data,
    needs_of_part,
    passes_over_data,
)

__all__ = [
    "Batches",
    "Collector",
    "Loss",
    "collected",
    "gather",
    "needs_data",
    "needs_of_part",
    "passes_over_data",
]
