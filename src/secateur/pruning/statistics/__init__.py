"""Statistics: collectors gather what criteria need, each thing once, on training data."""

from secateur.pruning.statistics.gathering import Batches, Collector, Loss, gather

__all__ = ["Batches", "Collector", "Loss", "gather"]
