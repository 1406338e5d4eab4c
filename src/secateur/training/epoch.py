"""An epoch of training, as it was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """One epoch.

    Attributes:
        epoch: Counted from 1.
        loss: Mean training loss an example, penalty included.
        val: The task's first metric on the validation split, after the epoch; None where a loop
            of the user's own has not measured it.
        metric: That metric's word.
    """

    epoch: int
    loss: float
    val: float | None
    metric: str = "accuracy"

    def to_dict(self) -> dict[str, Any]:
        """As a curve keeps it.

        Example:
            >>> Epoch(1, 0.5, 0.25).to_dict()
            {'epoch': 1, 'loss': 0.5, 'val_accuracy': 0.25}
        """
        found = {} if self.val is None else {f"val_{self.metric}": self.val}
        return {"epoch": self.epoch, "loss": self.loss, **found}
