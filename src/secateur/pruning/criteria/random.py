"""Random: a control that looks at nothing."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from secateur.pruning.criterion import Statistics


def random(parameter: str, rows: Tensor, statistics: Statistics) -> Tensor:
    """A uniform number for each unit, fixed by the seed and the weight's name.

    Every informed criterion has to beat it (Mittal et al. 2018, arXiv 1801.10447).

    Args:
        parameter: The weight's name: layers draw independently of their order.
        rows: Shape `[units, weights per unit]`; only its first length is used.
        statistics: Its `seed` is used.

    Returns:
        Shape `[units]`, in [0, 1).

    Example:
        >>> once = random("w", torch.zeros(3, 1), Statistics(seed=1))
        >>> torch.equal(once, random("w", torch.zeros(3, 1), Statistics(seed=1)))
        True
    """
    digest = hashlib.sha256(f"{statistics.seed}/{parameter}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.rand(rows.shape[0], generator=generator).to(rows.device)
