"""A weight whose zeros are frozen: its index, made once, and its values, read at every step."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from secateur.runtime.kernels.nonzeros import Nonzeros
from secateur.runtime.layers.conv_geometry import Window

Numbers = NDArray[np.int64]


class FrozenWeight:
    """What is kept of a dense weight, in the orders that the kernels need.

    The dense weight stays what is trained. Here is only where its kept elements are and which
    inputs and outputs they connect (Nikdan et al., "SparseProp", ICML 2023, arXiv 2302.04852, has
    the sparse backward pass; the layout and the kernels are our own).

    Args:
        mask: `[out, in]` or `[out, in, height, width]`, bool, True = kept.
        weight: Of that shape, contiguous or channels_last.
        window: How the layer reads its input.

    Example:
        >>> weight = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
        >>> frozen = FrozenWeight(weight != 0, weight, Window(channels=2))
        >>> frozen.values(weight)
        tensor([2., 3.])
        >>> frozen.dense(torch.tensor([5.0, 6.0]))
        tensor([[0., 5.],
                [6., 0.]])
    """

    def __init__(self, mask: Tensor, weight: Tensor, window: Window) -> None:
        self.window = window
        self._size, self._strides = weight.shape, weight.stride()
        kept = mask.nonzero()
        self._positions = (kept * torch.tensor(self._strides)).sum(dim=1)
        outs, ins, *kernel = kept.numpy().T
        h, w = kernel or (np.zeros_like(outs), np.zeros_like(outs))
        planes, rows, columns = _planes(window, ins, h, w)
        self.forward = _forward_nonzeros(window, len(mask), outs, planes, rows, columns)
        order = np.argsort(planes, kind="stable")
        self._order = torch.from_numpy(order)
        self.backward = _backward_nonzeros(
            window, len(mask), outs[order], planes[order], rows[order], columns[order]
        )

    def fits(self, weight: Tensor) -> bool:
        """Whether the weight still lies in memory as it did."""
        return weight.stride() == self._strides

    def values(self, weight: Tensor) -> Tensor:
        """The kept elements, in the order of `forward`."""
        return _storage(weight).index_select(0, self._positions)

    def transposed(self, values: Tensor) -> Tensor:
        """The same in the order of `backward`."""
        return values.index_select(0, self._order)

    def dense(self, values: Tensor) -> Tensor:
        """A tensor like the weight that holds the values, and zero where nothing is kept."""
        made = torch.empty_strided(self._size, self._strides).zero_()
        _storage(made).scatter_(0, self._positions, values)
        return made


def _storage(weight: Tensor) -> Tensor:
    """All elements in the order of memory."""
    return weight.detach().as_strided((weight.numel(),), (1,))


def _planes(
    window: Window, ins: Numbers, h: Numbers, w: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Plane, row and column of the spread input that each weight reads for output (0, 0)."""
    below = np.array([window.h.place(tap) for tap in range(window.h.kernel)])[h]
    beside = np.array([window.w.place(tap) for tap in range(window.w.kernel)])[w]
    planes = (ins * len(window.h.phases) + below[:, 0]) * len(window.w.phases)
    return planes + beside[:, 0], below[:, 1], beside[:, 1]


def _indptr(planes: Numbers, count: int) -> Numbers:
    return np.concatenate([[0], np.bincount(planes, minlength=count).cumsum()]).astype(np.int64)


def _forward_nonzeros(
    window: Window,
    outs_in_all: int,
    outs: Numbers,
    planes: Numbers,
    rows: Numbers,
    columns: Numbers,
) -> Nonzeros:
    h, w = window.h, window.w
    index = (planes * h.length + rows) * w.length + columns
    return Nonzeros(
        indptr=_indptr(outs, outs_in_all),
        indices=index.astype(np.int32),
        height=h.outputs,
        width=w.outputs,
        pitch=w.length,
        positions=window.positions,
    )


def _backward_nonzeros(
    window: Window,
    outs_in_all: int,
    outs: Numbers,
    planes: Numbers,
    rows: Numbers,
    columns: Numbers,
) -> Nonzeros:
    """The input's gradient: the transposed weight, and the kernel turned by half a circle.

    Without strides it is computed for the image alone, else for the whole of the spread input.
    """
    h, w = window.h, window.w
    top, left = (h.before, w.before) if window.direct else (0, 0)
    height = h.length + h.reach
    width = w.length + w.reach
    index = (outs * height + h.reach - rows + top) * width + w.reach - columns + left
    return Nonzeros(
        indptr=_indptr(planes, window.channels * window.phases),
        indices=index.astype(np.int32),
        height=h.size if window.direct else h.length,
        width=w.size if window.direct else w.length,
        pitch=width,
        positions=outs_in_all * height * width,
    )
