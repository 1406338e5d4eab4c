"""Statistics: collectors gather what criteria need, each thing once, on training data."""

from secateur.pruning.statistics.gathering import Batches, Collector, Loss, collected, gather

__all__ = ["Batches", "Collector", "Loss", "collected", "gather"]
