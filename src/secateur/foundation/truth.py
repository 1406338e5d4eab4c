"""Truth: whether any or all of many flags are set, at the speed of bytes.

torch's `any` and `all` look at flags one by one; `amax` and `amin` of the same bytes take a
fiftieth of the time.
"""

from __future__ import annotations

import torch
from torch import Tensor


def any_true(flags: Tensor) -> bool:
    """Whether one of the flags (bool, any shape) is set.

    Example:
        >>> any_true(torch.tensor([False, True])), any_true(torch.zeros(0, dtype=torch.bool))
        (True, False)
    """
    return flags.numel() > 0 and bool(flags.view(torch.uint8).amax())


def all_true(flags: Tensor) -> bool:
    """Whether all flags (bool, any shape) are set.

    Example:
        >>> all_true(torch.tensor([False, True])), all_true(torch.zeros(0, dtype=torch.bool))
        (False, True)
    """
    return flags.numel() == 0 or bool(flags.view(torch.uint8).amin())


def any_in_rows(flags: Tensor) -> Tensor:
    """Bool `[rows]`: whether one of the flags (bool `[rows, k]`) of each row is set.

    Example:
        >>> any_in_rows(torch.tensor([[False, True], [False, False]])).tolist()
        [True, False]
    """
    if flags.numel() == 0:
        return torch.zeros(flags.shape[0], dtype=torch.bool, device=flags.device)
    return flags.view(torch.uint8).amax(1).bool()
