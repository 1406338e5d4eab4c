"""The structs and constants of `secateur.h`, for ctypes. Keep the two in step (and `ABI`)."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_int32, c_int64, c_void_p
from enum import IntEnum, IntFlag

ABI = 4


class Status(IntEnum):
    """What a call returned."""

    OK = 0
    BAD_ARGUMENT = 1
    BAD_PACK = 2
    SMALL_BUFFER = 3


class Layout(IntEnum):
    """How a tensor lies in memory: torch's own, or a tile of images side by side in lanes."""

    PLAIN = 0
    LANES = 1


class OpKind(IntEnum):
    """What an op does."""

    LINEAR = 1
    CONV2D = 2
    COPY = 3
    RELU = 4
    ADD = 5
    AFFINE = 6
    MAX_POOL = 7
    AVG_POOL = 8
    GLOBAL_AVG_POOL = 9
    ACTIVATE = 10
    MUL = 11
    SCALE = 12
    PLACE = 13
    SHUFFLE = 14


class Flag(IntFlag):
    """What an op does besides."""

    NONE = 0
    FUSE_RELU = 1
    COUNT_PADDING = 2


FUNCTION_SHIFT = 8
"""The flags of an ACTIVATE: its function, so many bits further left."""


class Function(IntEnum):
    """What an ACTIVATE does to each number."""

    CLAMP = 1
    LEAKY = 2
    ELU = 3
    SIGMOID = 4
    HARD_SIGMOID = 5
    SILU = 6
    HARD_SWISH = 7
    TANH = 8
    GELU = 9
    GELU_TANH = 10


class Algorithm(IntEnum):
    """Where the vectors lie: along one image, or across the batch."""

    AUTO = 0
    BY_IMAGE = 1
    BY_LANE = 2


class Shape(ctypes.Structure):
    """The geometry of one op. Sizes that are not given are 1, padding 0."""

    _fields_ = (
        ("in_channels", c_int32),
        ("in_height", c_int32),
        ("in_width", c_int32),
        ("out_channels", c_int32),
        ("out_height", c_int32),
        ("out_width", c_int32),
        ("kernel_height", c_int32),
        ("kernel_width", c_int32),
        ("stride_height", c_int32),
        ("stride_width", c_int32),
        ("pad_top", c_int32),
        ("pad_left", c_int32),
        ("dilation_height", c_int32),
        ("dilation_width", c_int32),
    )

    @property
    def in_features(self) -> int:
        """Numbers per image in the input."""
        return int(self.in_channels * self.in_height * self.in_width)

    @property
    def out_features(self) -> int:
        """Numbers per image in the output."""
        return int(self.out_channels * self.out_height * self.out_width)


def shape(
    inputs: tuple[int, int, int],
    outputs: tuple[int, int, int],
    *,
    kernel: tuple[int, int] = (1, 1),
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
) -> Shape:
    """A `Shape` from (channels, height, width) in and out; `padding` is what lies above and left.

    Example:
        >>> shape((3, 25, 25), (32, 25, 25), kernel=(3, 3), padding=(1, 1)).out_features
        20000
    """
    return Shape(*inputs, *outputs, *kernel, *stride, *padding, *dilation)


class Op(ctypes.Structure):
    """One layer of a plan. Hold on to the pack for as long as the op lives."""

    _fields_ = (
        ("kind", c_int32),
        ("flags", c_int32),
        ("in_layout", c_int32),
        ("out_layout", c_int32),
        ("input", c_int32),
        ("other", c_int32),
        ("output", c_int32),
        ("reserved", c_int32),
        ("shape", Shape),
        ("pack", c_void_p),
        ("pack_bytes", c_int64),
    )


class Buffer(ctypes.Structure):
    """Memory that an op reads or writes: address, floats, and those from thread to thread."""

    _fields_ = (("data", c_void_p), ("count", c_int64), ("step", c_int64))


class Task(ctypes.Structure):
    """What to run, on what."""

    _fields_ = (
        ("ops", POINTER(Op)),
        ("buffers", POINTER(Buffer)),
        ("scratch", c_void_p),
        ("scratch_bytes", c_int64),
        ("batch", c_int64),
        ("part", c_int64),
        ("n_ops", c_int32),
        ("n_buffers", c_int32),
        ("threads", c_int32),
        ("failed", c_int32),
    )


class KernelLayer(ctypes.Structure):
    """What to pack."""

    _fields_ = (
        ("kind", c_int32),
        ("in_layout", c_int32),
        ("out_layout", c_int32),
        ("algorithm", c_int32),
        ("batch", c_int64),
        ("shape", Shape),
    )


class PackInfo(ctypes.Structure):
    """What a pack holds."""

    _fields_ = (
        ("kind", c_int32),
        ("in_layout", c_int32),
        ("out_layout", c_int32),
        ("algorithm", c_int32),
        ("index_bits", c_int32),
        ("tile", c_int32),
        ("nonzeros", c_int64),
        ("stored", c_int64),
        ("shape", Shape),
    )
