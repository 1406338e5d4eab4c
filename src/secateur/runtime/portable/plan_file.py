"""Plan file: a network's ops and weights as numbers alone, to be packed where it is run.

Packs are made for one instruction set; a plan file is for any. Little-endian, in this order:

    128 bytes       `HEAD`
    96 bytes an op  `OP`: those that run images one after the other, then those that run them side
                    by side in lanes; the fields of `secateur_op`, and which weight is packed
    32 bytes each   `WEIGHT`: where the numbers of a weight lie
    the numbers     of each weight: a bit for every element, set where it is not zero, in words of
                    32; the elements that are not zero; the bias. It begins at a multiple of 8.

Buffer 0 of the ops is the network's input, buffer 1 its output.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from secateur.errors import ArtifactError
from secateur.runtime.kernels.memory import Floats
from secateur.runtime.kernels.structs import ABI, OpKind, Shape

VERSION = 1
MAGIC = b"SECATEUR"
MOST_AXES = 6
_WORD = 32
_NUMBER = "<i4"
_LARGEST = 1 << 31

HEAD = np.dtype(
    [
        ("magic", "S8"),
        *((name, _NUMBER) for name in ("version", "abi", "ops", "buffers")),
        *((name, _NUMBER) for name in ("lane_ops", "lane_buffers", "weights")),
        *(("in_axes", _NUMBER), ("in_sizes", _NUMBER, MOST_AXES)),
        *(("out_axes", _NUMBER), ("out_sizes", _NUMBER, MOST_AXES)),
        *(("reserved", _NUMBER), ("sha256", "V32")),
    ]
)
OP = np.dtype(
    [
        *((name, _NUMBER) for name in ("kind", "flags", "in_layout", "out_layout")),
        *((name, _NUMBER) for name in ("input", "other", "output", "weight")),
        *(("shape", _NUMBER, len(Shape._fields_)), ("batch", _NUMBER), ("reserved", _NUMBER)),
    ]
)
WEIGHT = np.dtype([(name, "<i8") for name in ("offset", "elements", "nonzero", "bias")])
_SUM = HEAD.itemsize - 32

Ops = NDArray[Any]
"""Records of `OP`."""


@dataclass(frozen=True)
class StoredWeight:
    """What an op multiplies by.

    Attributes:
        values: Row by row.
        bias: One for each output; of length 0 for none.
    """

    values: Floats
    bias: Floats


@dataclass(frozen=True)
class PlanFile:
    """What a plan file holds.

    Attributes:
        inputs: The shape of one example.
        outputs: The shape of its output.
        ops: Those that run images one after the other.
        lane_ops: Those that run them side by side.
        weights: What the ops name by place.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    ops: Ops
    lane_ops: Ops
    weights: tuple[StoredWeight, ...]


def encode(plan: PlanFile) -> bytes:
    """The bytes of a plan file.

    Args:
        plan: What it is to hold.

    Example:
        >>> none = np.zeros(0, OP)
        >>> weight = StoredWeight(np.float32([0, 2]), np.zeros(0, np.float32))
        >>> decode(encode(PlanFile((2,), (2,), none, none, (weight,)))).weights[0].values.tolist()
        [0.0, 2.0]
    """
    head, table = np.zeros((), HEAD), np.zeros(len(plan.weights), WEIGHT)
    head["magic"], head["version"], head["abi"] = MAGIC, VERSION, ABI
    head["ops"], head["buffers"] = len(plan.ops), len(buffer_floats(plan.ops))
    head["lane_ops"], head["lane_buffers"] = len(plan.lane_ops), len(buffer_floats(plan.lane_ops))
    head["weights"] = len(plan.weights)
    for name, sizes in (("in", plan.inputs), ("out", plan.outputs)):
        head[f"{name}_axes"] = len(sizes)
        head[f"{name}_sizes"][: len(sizes)] = sizes
    offset = HEAD.itemsize + plan.ops.nbytes + plan.lane_ops.nbytes + table.nbytes
    stored = []
    for place, weight in enumerate(plan.weights):
        content = _packed(weight)
        count = np.count_nonzero(weight.values)
        table[place] = (offset, weight.values.size, count, weight.bias.size)
        offset += len(content)
        stored.append(content)
    parts = [head.tobytes(), plan.ops.tobytes(), plan.lane_ops.tobytes(), table.tobytes(), *stored]
    made = bytearray(b"".join(parts))
    made[_SUM : _SUM + 32] = hashlib.sha256(made).digest()
    return bytes(made)


def _packed(weight: StoredWeight) -> bytes:
    values = weight.values.reshape(-1)
    bits = np.packbits(values != 0, bitorder="little").tobytes()
    bits += bytes(-len(bits) % (_WORD // 8))
    numbers = np.concatenate([values[values != 0], weight.bias]).astype("<f4").tobytes()
    return bits + numbers + bytes(-(len(bits) + len(numbers)) % 8)


def decode(content: bytes, name: str = "the file") -> PlanFile:
    """What the bytes of a plan file hold; nothing in it is run, or trusted to lie inside.

    Args:
        content: The bytes.
        name: For messages.

    Raises:
        ArtifactError: They are none, damaged, or of another version.
    """
    if len(content) < HEAD.itemsize or content[: len(MAGIC)] != MAGIC:
        raise _refused(name, "no plan file", "one that `secateur package` wrote")
    head = np.frombuffer(content, HEAD, 1)[0]
    blank = content[:_SUM] + bytes(32) + content[_SUM + 32 :]
    if hashlib.sha256(blank).digest() != content[_SUM : _SUM + 32]:
        raise _refused(name, "damaged (another SHA-256)", "the file as it was written")
    if (head["version"], head["abi"]) != (VERSION, ABI):
        given = f"of version {head['version']}.{head['abi']}"
        raise _refused(name, given, f"version {VERSION}.{ABI}")
    counts = [int(head[field]) for field in ("ops", "lane_ops", "weights")]
    sizes = np.array([OP.itemsize, OP.itemsize, WEIGHT.itemsize])
    if min(counts) < 0 or HEAD.itemsize + int((sizes * counts).sum()) > len(content):
        raise _refused(name, "shorter than its tables", "a whole file")
    starts = [HEAD.itemsize]
    for count, size in zip(counts, sizes, strict=True):
        starts.append(starts[-1] + count * int(size))
    ops, lane_ops, table = (
        np.frombuffer(content, kind, count, start)
        for kind, count, start in zip((OP, OP, WEIGHT), counts, starts, strict=False)
    )
    _check_extents(table, len(content), name)
    weights = tuple(_unpacked(content, row, name) for row in table)
    plan = PlanFile(_sizes(head, "in", name), _sizes(head, "out", name), ops, lane_ops, weights)
    for each in (ops, lane_ops):
        _check_ops(each, plan, name)
    return plan


def read_plan(path: str | os.PathLike[str]) -> PlanFile:
    """Read a plan file.

    Raises:
        ArtifactError: It cannot be read, or as of `decode`.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        given = f"unreadable ({error.strerror})"
        raise _refused(os.fspath(path), given, "a plan file") from None
    return decode(content, os.fspath(path))


def buffer_floats(ops: Ops) -> list[int]:
    """Floats of one image in each buffer that the ops name, in order."""
    found: dict[int, int] = {0: 0, 1: 0}
    for row in ops:
        before, after = (prod(map(int, row["shape"][at : at + 3])) for at in (0, 3))
        other = int(row["shape"][0]) if row["kind"] == OpKind.SCALE else before
        for field, floats in (("input", before), ("other", other), ("output", after)):
            if row[field] >= 0:
                found[int(row[field])] = max(found.get(int(row[field]), 0), floats)
    return [found.get(place, 0) for place in range(max(found) + 1)]


def _check_extents(table: NDArray[Any], size: int, name: str) -> None:
    """Every weight lies inside the file, and all of them together are no longer than it is."""
    total = 0
    for row in table:
        offset, elements, nonzero, bias = (int(row[field]) for field in WEIGHT.names or ())
        length = _bits(elements) + 4 * (nonzero + bias)
        total += length
        sane = min(offset, elements, nonzero, bias) >= 0 and offset % 4 == 0
        if not sane or offset + length > size or total > size:
            raise _refused(name, "with a weight outside the file", "a whole file")


def _bits(elements: int) -> int:
    """Bytes of the bits of so many elements."""
    return -(-elements // _WORD) * (_WORD // 8)


def _unpacked(content: bytes, row: Any, name: str) -> StoredWeight:
    offset, elements, nonzero, bias = (int(row[field]) for field in WEIGHT.names or ())
    bits = np.frombuffer(content, np.uint8, _bits(elements), offset)
    mask = np.unpackbits(bits, count=elements, bitorder="little").astype(bool)
    if int(mask.sum()) != nonzero:
        raise _refused(name, "with a weight of another count than it says", "a sound file")
    numbers = np.frombuffer(content, "<f4", nonzero + bias, offset + bits.size)
    values = np.zeros(elements, np.float32)
    values[mask] = numbers[:nonzero]
    return StoredWeight(values, numbers[nonzero:].astype(np.float32))


def _sizes(head: Any, side: str, name: str) -> tuple[int, ...]:
    axes = int(head[f"{side}_axes"])
    sizes = tuple(map(int, head[f"{side}_sizes"][: max(axes, 0)]))
    if not 0 < axes <= MOST_AXES or min(sizes) <= 0 or prod(sizes) >= _LARGEST:
        raise _refused(name, f"of a shape that cannot be ({axes} axes)", "a sound file")
    return sizes


def _check_ops(ops: Ops, plan: PlanFile, name: str) -> None:
    """What the kernels do not check themselves: that buffers and weights are as large as told."""
    if not len(ops):
        return
    if any(size <= 0 for row in ops for size in row["shape"][:6]) or any(_places(ops)):
        raise _refused(name, "with an op that cannot be", "a sound file")
    floats = buffer_floats(ops)
    whole = (prod(plan.inputs), prod(plan.outputs))
    fitting = tuple(floats[:2]) == whole and max(floats) < _LARGEST
    if not fitting or not all(int(row["weight"]) < len(plan.weights) for row in ops):
        raise _refused(name, "with ops that do not fit together", "a sound file")


def _places(ops: Ops) -> Iterator[bool]:
    """Whether a buffer's number is out of all reason, for each op."""
    most = 3 * len(ops) + 2
    for row in ops:
        named = [int(row[field]) for field in ("input", "other", "output")]
        yield max(named) >= most or min(named[0], named[2]) < 0


def _refused(name: str, given: str, expected: str) -> ArtifactError:
    return ArtifactError(
        "reading a plan file",
        name,
        given=given,
        expected=expected,
        remedy="Write the package again with `secateur package`.",
    )


def ops_of(rows: Sequence[tuple[Any, ...]]) -> Ops:
    """Records of `OP` from tuples in its order."""
    return np.array(rows, OP) if rows else np.zeros(0, OP)
