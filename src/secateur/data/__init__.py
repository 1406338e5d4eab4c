"""Data sets; train, validation and test kept apart.

`load` finds one by name. Of images: `from_dataset` takes any torch `Dataset`, `image_data` binds
bytes, `hold_out` divides a split, and `batches` goes through one. Of anything: `from_tensors`,
`from_datasets`, `from_loaders`, and `external` for what only a loop of one's own reads.
"""

from __future__ import annotations

from secateur.data.batches import batches
from secateur.data.data import Data
from secateur.data.dataset import from_dataset
from secateur.data.datasets import from_datasets
from secateur.data.holdout import hold_out
from secateur.data.images import ImageData, image_data
from secateur.data.loaders import external, from_loaders
from secateur.data.loading import load
from secateur.data.split import Split
from secateur.data.tensors import TensorData, from_tensors

__all__ = [
    "Data",
    "ImageData",
    "Split",
    "TensorData",
    "batches",
    "external",
    "from_dataset",
    "from_datasets",
    "from_loaders",
    "from_tensors",
    "hold_out",
    "image_data",
    "load",
]
