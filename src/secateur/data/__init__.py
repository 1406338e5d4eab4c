"""Data sets, held in memory as uint8 tensors; train, validation and test kept apart.

`load` finds one by name, `from_dataset` takes any torch `Dataset`, `image_data` binds tensors of
your own, `hold_out` divides a split, and `batches` goes through one.
"""

from __future__ import annotations

from secateur.data.batches import batches
from secateur.data.dataset import from_dataset
from secateur.data.holdout import hold_out
from secateur.data.images import ImageData, Split, image_data
from secateur.data.loading import load

__all__ = ["ImageData", "Split", "batches", "from_dataset", "hold_out", "image_data", "load"]
