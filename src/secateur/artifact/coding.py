"""Zero coding: a tensor with many zeros in about the bytes that its information needs.

Positions are written as gaps: one byte for the number of zeros before each element that is not
zero, 255 for "255 zeros and go on". The remaining elements are cut into byte planes, the first
byte of each, then the second, and so on: signs and exponents repeat, mantissas do not. Every
stream is one zstd frame of its own, for a code table of its own.

Only the all-zero bit pattern is left out, so -0.0 and NaN payloads come back bit by bit. Work
goes in blocks that fit the cache; no stream but the gaps is ever held whole, before or after zstd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

Words = NDArray[np.unsignedinteger[Any]]
Bytes = NDArray[np.uint8]

BLOCK = 1 << 18
ESCAPE = 255
_WORST_SHARE = 0.97
_WIDEST_WINDOW = 1 << 20

# Matches in gaps and bytes of floats are accidents that cost more than they save, so they are
# made rare (7 bytes at least) and what works is zstd's Huffman stage: smaller than level 19 here,
# and a hundred times as fast.
_PARAMETERS = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST,
    min_match=7,
    window_log=17,
    hash_log=12,
    target_length=0,
    write_content_size=True,
    write_checksum=False,
)


class CodingError(ValueError):
    """Coded bytes that no encoder writes; the message says which."""


@dataclass(frozen=True)
class Coded:
    """A zero-coded array.

    Attributes:
        nonzero: How many elements are not zero.
        gaps: Length of the gap stream before zstd.
        frames: Compressed lengths: the gap stream's, then each byte plane's.
        blob: The frames, one after another.
    """

    nonzero: int
    gaps: int
    frames: tuple[int, ...]
    blob: bytes | bytearray


def encode(words: Words) -> Coded | None:
    """Zero-code an array, or find that it is not worth it.

    Args:
        words: The elements' bits, `[n]`, little-endian, as uint8, 16, 32 or 64.

    Returns:
        The code, or None where it would not be smaller than the array.

    Example:
        >>> coded = encode(np.arange(8000, dtype=np.uint32) // 7992)
        >>> coded.nonzero, len(coded.blob) < 100
        (8, True)
        >>> encode(np.arange(8, dtype=np.uint32)) is None
        True
    """
    nonzero = int(np.count_nonzero(words))
    if nonzero > _WORST_SHARE * words.size or not words.size:
        return None
    planes = [np.empty(nonzero, dtype=np.uint8) for _ in range(words.itemsize)]
    gaps: list[Bytes] = []
    done = run = 0
    for start in range(0, words.size, BLOCK):
        block = words[start : start + BLOCK]
        at = np.flatnonzero(block != 0)
        if not at.size:
            run += block.size
            continue
        gaps.append(_gaps(at, run))
        run = block.size - 1 - int(at[-1])
        values = block[at].view(np.uint8).reshape(-1, words.itemsize)
        for column, plane in enumerate(planes):
            plane[done : done + at.size] = values[:, column]
        done += at.size
    planes.insert(0, np.concatenate(gaps) if gaps else np.empty(0, dtype=np.uint8))
    gaps.clear()
    return _compressed(words, planes)


def _compressed(words: Words, streams: list[Bytes]) -> Coded | None:
    """The code of some streams, each of them given up once it is compressed."""
    compressor = zstandard.ZstdCompressor(compression_params=_PARAMETERS)
    blob, lengths = bytearray(), []
    gaps, nonzero = streams[0].size, streams[-1].size
    while streams:
        frame = compressor.compress(streams.pop(0).data)
        lengths.append(len(frame))
        blob += frame
    return Coded(nonzero, gaps, tuple(lengths), blob) if len(blob) < words.nbytes else None


def _gaps(at: NDArray[np.intp], run: int) -> Bytes:
    """Gap bytes of the positions in one block, after `run` zeros before it."""
    zeros = np.diff(at, prepend=-1 - run) - 1
    if int(zeros.max()) < ESCAPE:
        return zeros.astype(np.uint8)
    escapes, rest = np.divmod(zeros, ESCAPE)
    stream = np.full(at.size + int(escapes.sum()), ESCAPE, dtype=np.uint8)
    stream[np.arange(at.size) + np.cumsum(escapes)] = rest
    return stream


def decode(coded: Coded, words: Words) -> None:
    """Undo `encode`.

    Memory is bounded by `words`, whatever the frames claim to hold.

    Args:
        coded: The code.
        words: Where the elements go, `[n]`, all zeros, of the type that was encoded.

    Raises:
        CodingError: The code does not describe an array of this size.

    Example:
        >>> before, after = np.eye(9, dtype=np.uint16).ravel(), np.zeros(81, dtype=np.uint16)
        >>> decode(encode(before), after)
        >>> bool((before == after).all())
        True
    """
    for places, values in nonzero_blocks(coded, words.size, words.dtype):
        words[places] = values


def nonzero_blocks(
    coded: Coded, size: int, dtype: np.dtype[Any]
) -> Iterator[tuple[NDArray[np.int64], Words]]:
    """The elements that a code holds, in blocks that fit the cache; memory is taken for no more.

    Args:
        coded: The code.
        size: Elements of the array.
        dtype: Of the array: uint8, 16, 32 or 64, little-endian.

    Yields:
        Positions, ascending over all blocks, and the elements there, as many.

    Raises:
        CodingError: The code does not describe an array of this size.

    Example:
        >>> coded = encode(np.arange(8000, dtype=np.uint32) // 7992)
        >>> [places.tolist() for places, _ in nonzero_blocks(coded, 8000, np.dtype("<u4"))]
        [[7992, 7993, 7994, 7995, 7996, 7997, 7998, 7999]]
    """
    gaps, *planes = _opened(coded, size, dtype.itemsize)
    at, missing = -1, coded.nonzero
    for start in range(0, coded.gaps, BLOCK):
        places, at = _places(_next(gaps, min(BLOCK, coded.gaps - start)), at)
        missing -= places.size
        if at >= size:
            raise CodingError("a position beyond the end")
        if missing < 0:
            break
        values = np.empty((places.size, dtype.itemsize), dtype=np.uint8)
        for column, plane in enumerate(planes):
            values[:, column] = _next(plane, places.size)
        yield places, values.view(dtype).ravel()
    if missing:
        raise CodingError("a gap stream for another number of values")
    for stream in (gaps, *planes):
        _check_end(stream)


def _places(block: Bytes, at: int) -> tuple[NDArray[np.int64], int]:
    """Positions that a block of gap bytes stands for, and how far it goes."""
    is_value = block != ESCAPE
    steps = block.astype(np.int64)
    steps += is_value
    np.cumsum(steps, out=steps)
    steps += at
    return (steps if is_value.all() else steps[is_value]), int(steps[-1])


def _opened(coded: Coded, size: int, itemsize: int) -> list[zstandard.ZstdDecompressionReader]:
    """The streams of a code, once its lengths are known to agree with each other."""
    possible = (
        len(coded.frames) == 1 + itemsize
        and min(coded.frames) >= 0
        and sum(coded.frames) == len(coded.blob)
        and 0 <= coded.nonzero <= size
        and coded.nonzero <= coded.gaps <= coded.nonzero + size // ESCAPE
    )
    if not possible:
        raise CodingError("lengths that do not agree")
    view, start = memoryview(coded.blob), 0
    streams: list[zstandard.ZstdDecompressionReader] = []
    for length in coded.frames:
        frame = view[start : start + length]
        _check_declared(frame, coded.nonzero if streams else coded.gaps)
        # Whatever follows the frame is read as another one, and refused at the end.
        opened = zstandard.ZstdDecompressor(max_window_size=_WIDEST_WINDOW).stream_reader(
            frame, read_across_frames=True
        )
        streams.append(opened)
        start += length
    return streams


def _check_declared(frame: memoryview, size: int) -> None:
    try:
        declared = zstandard.frame_content_size(frame)
    except zstandard.ZstdError as error:
        raise CodingError(f"a broken zstd frame ({error})") from None
    if declared != size:
        raise CodingError(f"a frame of {declared} bytes, not {size}")


def _next(stream: zstandard.ZstdDecompressionReader, size: int) -> Bytes:
    """So many bytes of a stream, and memory for no more."""
    try:
        content = stream.read(size)
    except zstandard.ZstdError as error:
        raise CodingError(f"a broken zstd frame ({error})") from None
    if len(content) != size:
        raise CodingError("a frame that ends early")
    return np.frombuffer(content, dtype=np.uint8)


def _check_end(stream: zstandard.ZstdDecompressionReader) -> None:
    try:
        more = stream.read(1)
    except zstandard.ZstdError as error:
        raise CodingError(f"a broken zstd frame ({error})") from None
    if more:
        raise CodingError("a frame that does not end")
