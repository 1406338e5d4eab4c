"""Products and gradients over the kept weights of a frozen mask, for sparse training.

The kernels run on torch's OpenMP runtime; without torch, on the calling thread alone.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from secateur.runtime.kernels.library import check, library, openmp
from secateur.runtime.kernels.structs import Buffer


class _Nonzeros(ctypes.Structure):
    _fields_ = (
        ("planes", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("pitch", c_int64),
        ("positions", c_int64),
        ("batch", c_int64),
        ("indptr", c_void_p),
        ("indices", c_void_p),
    )


@dataclass(frozen=True)
class Nonzeros:
    """Which input positions feed which output planes; `secateur_nonzeros` of `secateur.h`.

    Everything lies as `[planes][height][width][batch]`, the images of a batch side by side.

    Args:
        indptr: `[planes + 1]`, int64: where each output plane's nonzeros begin.
        indices: `[nonzeros]`, int32: the input position that feeds output position (0, 0).
        height: Output positions of a plane.
        width: Output positions of a row.
        pitch: Input positions from one row to the next.
        positions: Input positions in all.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    height: int
    width: int
    pitch: int
    positions: int

    @property
    def planes(self) -> int:
        """How many output planes."""
        return len(self.indptr) - 1

    @property
    def outputs(self) -> int:
        """Output positions in all."""
        return self.planes * self.height * self.width

    def product(
        self,
        values: int,
        bias: int | None,
        inputs: tuple[int, int],
        outputs: tuple[int, int],
        *,
        batch: int,
        threads: int,
    ) -> None:
        """Each output plane: its bias plus the sum of value times input over its nonzeros.

        Args:
            values: Address of one fp32 number for each nonzero.
            bias: Address of one number for each plane, or None.
            inputs: Address and floats; `positions x batch` are read.
            outputs: Address and floats; `outputs x batch` are written.
            batch: Images, a multiple of `kernels.lanes()`.
            threads: At most so many.

        Raises:
            KernelError: Something does not fit; nothing has been run then.

        Example:
            >>> identity = Nonzeros(np.arange(3), np.arange(2, dtype=np.int32), 1, 1, 1, 2)
            >>> values, x = np.float32([2, 3]), np.ones((2, 16), dtype=np.float32)
            >>> y = np.empty_like(x)
            >>> of = lambda array: (array.ctypes.data, array.size)
            >>> identity.product(values.ctypes.data, None, of(x), of(y), batch=16, threads=1)
            >>> y[:, 0].tolist()
            [2.0, 3.0]
        """
        openmp()
        status = _functions()[0](
            ctypes.byref(self._with(batch)),
            values,
            bias,
            ctypes.byref(Buffer(*inputs)),
            ctypes.byref(Buffer(*outputs)),
            threads,
        )
        check(status, "multiplying with a frozen weight", "the nonzeros")

    def gradient(
        self,
        inputs: tuple[int, int],
        outer: tuple[int, int],
        gradient: int,
        *,
        batch: int,
        threads: int,
    ) -> None:
        """The gradient of each nonzero's value: the sum of outer times input.

        Args:
            inputs: Address and floats, what the product was given.
            outer: Address and floats: the gradient of what the product wrote.
            gradient: Address of one number for each nonzero, written over.
            batch: Images, a multiple of `kernels.lanes()`.
            threads: At most so many.

        Raises:
            KernelError: Something does not fit; nothing has been run then.
        """
        openmp()
        status = _functions()[1](
            ctypes.byref(self._with(batch)),
            ctypes.byref(Buffer(*inputs)),
            ctypes.byref(Buffer(*outer)),
            gradient,
            threads,
        )
        check(status, "the gradient of a frozen weight", "the nonzeros")

    def _with(self, batch: int) -> _Nonzeros:
        return _Nonzeros(
            self.planes,
            self.height,
            self.width,
            self.pitch,
            self.positions,
            batch,
            self.indptr.ctypes.data,
            self.indices.ctypes.data,
        )


@cache
def _functions() -> tuple[Callable[..., int], Callable[..., int]]:
    product, gradient = library().secateur_nonzeros_product, library().secateur_nonzeros_gradient
    nonzeros, buffer = POINTER(_Nonzeros), POINTER(Buffer)
    product.argtypes = (nonzeros, c_void_p, c_void_p, buffer, buffer, c_int32)
    gradient.argtypes = (nonzeros, buffer, buffer, c_void_p, c_int32)
    product.restype = gradient.restype = c_int32
    return product, gradient
