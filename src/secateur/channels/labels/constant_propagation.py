"""Constant propagation: what is the same for every input; the values come from the pass.

Rules say *which* slices are constant; what they are constant at is read off the activations of
the pass, so no operator needs its arithmetic written twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from secateur.channels.labels.axis_labels import Flags, TensorLabels
from secateur.foundation.truth import any_in_rows


def constant_slices(layout: TensorLabels, axis: int, size: int) -> Flags:
    """Bool `[size]`: the slices along an axis that no input can change."""
    if layout.constant:
        return np.ones(size, np.bool_)
    vector = layout.axes[axis]
    return np.zeros(size, np.bool_) if vector is None else vector.const


def zero_slices(tensor: Tensor, layout: TensorLabels, axis: int) -> Flags:
    """Bool `[size]`: the constant slices that are zero."""
    const = constant_slices(layout, axis, tensor.shape[axis])
    if not const.any():
        return const
    return const & ~used_slices(tensor, axis)


def used_slices(tensor: Tensor, axis: int) -> Flags:
    """Bool `[size]`: the slices that hold anything but zeros."""
    if tensor.numel() == 0:
        return np.zeros(tensor.shape[axis], np.bool_)
    held = tensor.detach().bool().movedim(axis, 0)  # several times as fast as `!= 0`
    return any_in_rows(held.reshape(len(held), -1)).cpu().numpy()


def constant_values(tensor: Tensor, layout: TensorLabels, axis: int) -> NDArray[np.float64]:
    """float64 `[size]`: the one value of each constant slice, NaN where there is none."""
    const = constant_slices(layout, axis, tensor.shape[axis])
    values: NDArray[np.float64] = np.full(const.size, np.nan)
    if not const.any() or tensor.numel() == 0:
        return values
    index = torch.from_numpy(np.flatnonzero(const)).to(tensor.device)
    flat = tensor.detach().index_select(axis, index).movedim(axis, 0).reshape(index.numel(), -1)
    low, high = flat.amin(1), flat.amax(1)
    found: Any = torch.where(low == high, low, torch.nan).double().cpu().numpy()
    values[const] = found
    return values
