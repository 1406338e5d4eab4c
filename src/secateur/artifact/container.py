"""The safetensors container: a length, a JSON header, and the bytes of every tensor.

Read here, and not by the library, for the sake of the errors, and to know where each byte lies
without taking memory for it. Nothing that a header says is trusted before it was checked against
the size of the file. https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

from secateur.artifact.error import damaged, foreign
from secateur.artifact.json_text import check_amount, is_text, unique
from secateur.artifact.path import check_file, checked_path
from secateur.errors import ArtifactError

DIGEST = "secateur.sha256"
"""The metadata entry that holds the SHA-256 of the file, itself counted as zeros."""

LONGEST_HEADER = 16 << 20
LONGEST_NAME = 512
LARGEST = 1 << 62
_CHUNK = 1 << 20
_NO_DIGEST = "0" * 64

ITEM_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1,
    "F8_E5M2FNUZ": 1, "F8_E4M3FNUZ": 1,
    "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4, "I32": 4, "F32": 4,
    "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
"""Bytes of one element, by the container's name for its type."""


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies.

    Attributes:
        dtype: The container's name for the element type: `F32`.
        shape: Its shape.
        start: Its first byte, counted from the end of the header.
        end: The byte after its last.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


@dataclass
class Container:
    """A safetensors file, open for reading; a context manager.

    Attributes:
        path: Where it lies.
        file: The open file.
        header: The header's bytes.
        metadata: The header's own words.
        entries: The tensors by name, in the order of their bytes.
    """

    path: Path
    file: io.BufferedReader = field(repr=False)
    header: bytes = field(repr=False)
    metadata: Mapping[str, str]
    entries: Mapping[str, Entry]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Container:
        """Open a file and check that its header is sound.

        Raises:
            ArtifactError: There is no such file, or it is damaged or hostile.
        """
        place = checked_path(path, "reading a model file")
        check_file(place)
        try:
            file = place.open("rb")
        except OSError as error:
            raise ArtifactError(
                "reading a model file",
                str(place),
                given=f"unreadable ({error.strerror})",
                expected="a safetensors file",
                remedy="Check the path.",
            ) from None
        try:
            header = _read_header(place, file)
            payload = os.fstat(file.fileno()).st_size - 8 - len(header)
            return cls(place, file, header, *_parse(place, header, payload))
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Container:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return os.fstat(self.file.fileno()).st_size

    @property
    def is_signed(self) -> bool:
        """Whether the file carries a SHA-256 of itself."""
        return DIGEST in self.metadata

    def read_into(self, name: str, buffer: memoryview) -> None:
        """Fill `buffer` with a tensor's bytes.

        Raises:
            ArtifactError: The file has become shorter since it was opened.
        """
        entry = self.entries[name]
        self.file.seek(8 + len(self.header) + entry.start)
        if entry.size and self.file.readinto(buffer) != entry.size:
            raise damaged(self.path, f"cut off inside {name}", "a whole file")

    def read(self, name: str) -> bytearray:
        """A tensor's bytes."""
        content = bytearray(self.entries[name].size)
        self.read_into(name, memoryview(content))
        return content

    def check_digest(self) -> None:
        """Check every byte of the file against the SHA-256 in it, if it carries one.

        Raises:
            ArtifactError: A byte is not what was written.
        """
        written = self.metadata.get(DIGEST)
        if written is None:
            return
        # The digest stands once in the header, or this is not a header that `write` made.
        found = f'"{DIGEST}":"{written}"'.encode()
        blank = self.header.replace(found, f'"{DIGEST}":"{_NO_DIGEST}"'.encode())
        hasher = hashlib.sha256(len(blank).to_bytes(8, "little") + blank)
        self.file.seek(8 + len(self.header))
        while chunk := self.file.read(_CHUNK):
            hasher.update(chunk)
        if hasher.hexdigest() != written:
            raise damaged(
                self.path,
                f"changed since it was written (SHA-256 {hasher.hexdigest()[:12]}…)",
                f"SHA-256 {written[:12]}…",
            )


def write(
    path: Path,
    entries: Sequence[tuple[str, str, Sequence[int], memoryview]],
    metadata: Mapping[str, str],
) -> str:
    """Write a safetensors file with a SHA-256 of itself.

    Args:
        path: Where.
        entries: Name, type, shape and bytes of each tensor, in this order.
        metadata: Further words for the header.

    Returns:
        The SHA-256, in hex.
    """
    header = _header(entries, {DIGEST: _NO_DIGEST, **metadata})
    hasher = hashlib.sha256(len(header).to_bytes(8, "little") + header)
    with path.open("xb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for *_, content in entries:
            hasher.update(content)
            file.write(content)
        digest = hasher.hexdigest()
        file.seek(8 + header.index(_NO_DIGEST.encode()))
        file.write(digest.encode())
    return digest


def size_of(
    entries: Sequence[tuple[str, str, Sequence[int], memoryview]],
    metadata: Mapping[str, str],
) -> int:
    """The bytes of the file that `write` makes of the same."""
    header = _header(entries, {DIGEST: _NO_DIGEST, **metadata})
    return 8 + len(header) + sum(content.nbytes for *_, content in entries)


def _header(
    entries: Iterable[tuple[str, str, Sequence[int], memoryview]], metadata: Mapping[str, str]
) -> bytes:
    fields: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name, dtype, shape, content in entries:
        end = start + content.nbytes
        fields[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)


def _read_header(path: Path, file: io.BufferedReader) -> bytes:
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 10 or length > size - 8:
        if other := foreign(path, start):
            raise other
        raise damaged(path, f"{size:,} bytes with a header of {length:,}", "a safetensors file")
    if length > LONGEST_HEADER:
        raise damaged(path, f"a header of {length:,} bytes", f"at most {LONGEST_HEADER:,}")
    return file.read(length)


def _parse(
    path: Path, header: bytes, payload: int
) -> tuple[Mapping[str, str], Mapping[str, Entry]]:
    check_amount(path, header)
    try:
        fields = json.loads(
            header.decode("utf-8"), object_pairs_hook=unique, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"a header that is no JSON ({error})"[:300], "a header") from None
    if not isinstance(fields, dict):
        raise damaged(path, f"a header that is a {type(fields).__name__}", "an object")
    metadata = fields.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise damaged(path, "metadata of another kind", "texts by name")
    if not all(is_text(word) for pair in metadata.items() for word in pair):
        raise damaged(path, "metadata with half of a character", "texts by name")
    entries = {name: _entry(path, name, value) for name, value in fields.items()}
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].start, item[1].end)))
    end = 0
    for name, entry in entries.items():
        if entry.start != end:
            raise damaged(path, f"{name} at byte {entry.start:,}", f"byte {end:,}, no gap, no lap")
        end = entry.end
    if end != payload:
        raise damaged(path, f"{payload:,} bytes of tensors", f"{end:,} as the header says")
    return metadata, entries


def _entry(path: Path, name: str, value: object) -> Entry:
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise damaged(path, f"a tensor named {name[:40]!r}", "a printable name")
    dtype, shape, offsets = _described(value) or (None, None, None)
    if dtype is None or shape is None or offsets is None:
        raise damaged(path, f"{name} described as {str(value)[:80]}", "type, shape, offsets")
    start, end = offsets
    if dtype not in ITEM_SIZES:
        raise damaged(path, f"{name} of type {dtype[:20]!r}", f"one of {', '.join(ITEM_SIZES)}")
    if len(shape) > 64 or prod(shape) * ITEM_SIZES[dtype] != end - start:
        raise damaged(path, f"{name}, {dtype} {shape[:8]}, in {end - start:,} bytes", "its size")
    return Entry(dtype, tuple(shape), start, end)


def _described(value: object) -> tuple[str, list[int], list[int]] | None:
    """The three things said of a tensor, if they are these three and of the right kind."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        return None
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    sound = isinstance(dtype, str) and _are_sizes(shape) and _are_sizes(offsets)
    return (dtype, shape, offsets) if sound and len(offsets) == 2 else None


def _are_sizes(values: object) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < LARGEST for value in values
    )


def _refuse_constant(text: str) -> float:
    raise ValueError(text)
