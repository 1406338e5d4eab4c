"""A split: some labelled images in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Some labelled images.

    Attributes:
        images: uint8, `[N, C, H, W]`.
        labels: int64, `[N]`.

    Example:
        >>> split = Split(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        >>> len(split)
        4
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return self.labels.numel()

    def to(self, device: torch.device | str) -> Split:
        """The same split with its tensors on `device`."""
        return Split(self.images.to(device), self.labels.to(device))
