"""Hostile model files, one for each trick: what a reader says of them, and what it takes.

    python benchmarks/artifact_hostile.py --out benchmarks/artifact_hostile.md

Each is signed like a sound file where the trick allows, so that it is not the checksum that stops
it. `fuzz_artifact.py` draws at random what is drawn up here on purpose.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import zstandard
from fuzz_artifact import Watch, joined, split
from torch import nn

from secateur.artifact.container import DIGEST, LONGEST_HEADER
from secateur.artifact.inspect import inspect
from secateur.artifact.load import load, load_state_dict
from secateur.artifact.manifest import KEY, Source
from secateur.artifact.memory import working_memory
from secateur.artifact.save import save
from secateur.errors import SecateurError

Maker = Callable[[bytes], bytes]
SHAPE = [1, 4, 4]


def net() -> nn.Module:
    """Two layers: of the first, half the weights are zero; it is stored coded."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 2))
    with torch.no_grad():
        made[0].weight[torch.rand(64, 64) < 0.9] = 0
    return made


def sound() -> bytes:
    """The file that every hostile one is made from."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x")
        save(net(), path, source=Source(name="lenet-300-100", shape=SHAPE, classes=2))
        return path.read_bytes()


def with_header(change: Callable[[dict[str, Any]], object]) -> Maker:
    """A sound file with something done to its header, signed anew."""

    def make(content: bytes) -> bytes:
        header, payload = split(content)
        change(header)
        return joined(header, payload)

    return make


def with_manifest(change: Callable[[dict[str, Any]], object]) -> Maker:
    """A sound file with something done to its manifest, signed anew."""

    def change_text(header: dict[str, Any]) -> None:
        manifest = json.loads(header["__metadata__"][KEY])
        change(manifest)
        header["__metadata__"][KEY] = json.dumps(manifest)

    return with_header(change_text)


def with_text(text: bytes) -> Maker:
    """A file whose header is some text."""
    return lambda _: struct.pack("<Q", len(text)) + text


def with_frame(make_frame: Callable[[int], bytes]) -> Maker:
    """A sound file with another zstd frame for the gaps; its right length is given."""

    def make(content: bytes) -> bytes:
        header, payload = split(content)
        manifest = json.loads(header["__metadata__"][KEY])
        coded = manifest["coded"]["0.weight"]
        start, _ = header["0.weight"]["data_offsets"]
        frame = make_frame(coded["gaps"])
        blob = frame + payload[start + coded["frames"][0] :]
        coded["frames"][0] = len(frame)
        header["0.weight"] |= {"shape": [len(blob)], "data_offsets": [start, start + len(blob)]}
        header["__metadata__"][KEY] = json.dumps(manifest)
        return joined(header, payload[:start] + blob)

    return make


def _compress(content: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(content)


def _coded(**fields: Any) -> Maker:
    return with_manifest(lambda m: m["coded"]["0.weight"].update(fields))


def _entry(**fields: Any) -> Maker:
    return with_header(lambda h: h["1.bias"].update(fields))


def _renamed(name: str) -> Maker:
    return with_header(lambda h: h.update({name: h.pop("1.bias")}))


def _tied_to_another_shape(content: bytes) -> bytes:
    """A tensor's place taken by another, of another rank; its own bytes go."""
    header, payload = split(content)
    manifest = json.loads(header["__metadata__"][KEY])
    manifest["tied"] = {"1.weight": "0.bias"}
    header["__metadata__"][KEY] = json.dumps(manifest)
    start, end = header.pop("1.weight")["data_offsets"]
    for name, entry in header.items():
        if name != "__metadata__" and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [at - (end - start) for at in entry["data_offsets"]]
    return joined(header, payload[:start] + payload[end:])


HOSTILE: dict[str, Maker] = {
    "empty": lambda _: b"",
    "header bomb: longer than the file": lambda content: struct.pack("<Q", 1 << 60) + content[8:],
    "header bomb: 17 MB of blanks": with_text(b"{" + b" " * LONGEST_HEADER + b"}"),
    "header bomb: 100,000 brackets": with_text(b"[" * 100_000),
    "header bomb: a number of a million digits": with_text(b'{"a":' + b"9" * 1_000_000 + b"}"),
    "header of no UTF-8": with_text(b'{"\xff":1}'),
    "header that is a list": with_text(b"[1]"),
    "a name twice": with_text(b'{"a":1,"a":2}'),
    "overlap: two tensors in the same bytes": with_header(
        lambda h: h["1.bias"].update(data_offsets=h["0.bias"]["data_offsets"], shape=[64])
    ),
    "a hole between tensors": with_header(lambda h: h.pop("1.bias")),
    "offsets beyond the file": _entry(data_offsets=[1 << 40, (1 << 40) + 8]),
    "offsets that go backwards": _entry(data_offsets=[8, 0]),
    "negative offsets": _entry(data_offsets=[-8, 0]),
    "truncated in the header": lambda content: content[:100],
    "truncated in the tensors": lambda content: content[:-1],
    "bytes after the end": lambda content: content + b"x",
    "a bit flipped in a tensor": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "a bit flipped in the metadata": lambda content: content.replace(b"lenet-300", b"lenet-301"),
    "its checksum taken out": with_header(lambda h: h["__metadata__"].pop("secateur.sha256")),
    "a name of 600 letters": _renamed("a" * 600),
    "a name that clears the terminal": _renamed("\x1b[2J"),
    "a name with a zero byte": _renamed("1.bias\0"),
    "a type that does not exist": _entry(dtype="F31"),
    "a shape of NaN": lambda content: joined_text(content, b'"shape":[2]', b'"shape":[NaN]'),
    "a shape of Infinity": lambda content: joined_text(content, b'"shape":[2]', b'"shape":[1e999]'),
    "a shape of half an element": _entry(shape=[0.5]),
    "a shape of -1": _entry(shape=[-1]),
    "a shape of 2^63": _entry(shape=[1 << 63]),
    "a shape that overflows to its size": _entry(shape=[1 << 32, 1 << 32, 2]),
    "a shape of 10,000 axes": _entry(shape=[1] * 10_000 + [2]),
    "decompression bomb: coded as 256 TB": _coded(shape=[1 << 23, 1 << 23]),
    "decompression bomb: coded as 2^61 elements": _coded(shape=[1 << 61]),
    "decompression bomb: a frame of 64 MB for 419 bytes": with_frame(
        lambda _: _compress(bytes(1 << 26), level=1)
    ),
    "decompression bomb: a frame that hides its size": with_frame(
        lambda _: _compress(bytes(1 << 26), level=1, write_content_size=False)
    ),
    "a frame that ends early": with_frame(lambda size: _compress(bytes(size))[:-3]),
    "a frame of another code": with_frame(lambda _: b"PK\3\4" + bytes(60)),
    "positions beyond the end": with_frame(lambda size: _compress(b"\xfe" * size)),
    "fewer values than said": _coded(nonzero=1, gaps=1),
    "lengths that do not agree": _coded(frames=[1, 2, 3, 4, 5]),
    "a code of a tensor that is not there": with_manifest(
        lambda m: m["coded"].update({"2.weight": m["coded"]["0.weight"]})
    ),
    "a tie to a tensor that is not there": with_manifest(lambda m: m.update(tied={"a": "b"})),
    "a tie over a tensor": with_manifest(lambda m: m.update(tied={"0.bias": "1.bias"})),
    "a tie to a tensor of another shape": _tied_to_another_shape,
    "strides that overlap": with_manifest(lambda m: m.update(strides={"1.weight": [0, 0]})),
    "channels of no list": with_manifest(lambda m: m.update(slots={"1.weight": {"0": 7}})),
    "a format of the future": with_manifest(lambda m: m.update(version=99)),
    "a manifest of a million brackets": with_header(
        lambda h: h["__metadata__"].update({KEY: "[" * 1_000_000})
    ),
    "a metric of Infinity": with_manifest(lambda m: m.update(metrics={"a": float("inf")})),
    "a metric that overflows": lambda content: joined_text(
        content, b'\\"classes\\":2}', b'\\"classes\\":2},\\"metrics\\":{\\"a\\":1e999}'
    ),
    "a field that does not exist": with_manifest(lambda m: m.update(script="import os")),
    "a class to import": with_manifest(lambda m: m.update(source={"name": "os:system"})),
    "a path for a class": with_manifest(lambda m: m.update(source={"name": "../../etc/passwd"})),
    "a reference net of 40 TB": with_manifest(
        lambda m: m["source"].update(shape=[3, 60_000, 60_000], classes=1 << 30)
    ),
    "a number for a method": with_manifest(lambda m: m.update(attributes={"0": {"forward": 1}})),
    "a number for a class": with_manifest(lambda m: m.update(attributes={"0": {"__class__": 1}})),
    "a pickle": lambda _: _pickle(),
}  # fmt: skip


def joined_text(content: bytes, old: bytes, new: bytes) -> bytes:
    """A sound file with other text in its header, JSON that Python would not write; signed anew."""
    (length,) = struct.unpack("<Q", content[:8])
    header = content[8 : 8 + length]
    assert old in header, header
    blank, digest = b"0" * 64, split(content)[0]["__metadata__"][DIGEST].encode()
    header = header.replace(old, new).replace(digest, blank)
    made = struct.pack("<Q", len(header)) + header + content[8 + length :]
    return made.replace(blank, hashlib.sha256(made).hexdigest().encode(), 1)


def _pickle() -> bytes:
    buffer = io.BytesIO()
    torch.save(net(), buffer)
    return buffer.getvalue()


WAYS: tuple[Callable[[Path], object], ...] = (
    load_state_dict,
    lambda path: inspect(path).to_dict(),
    lambda path: load(path, net),
    load,
)
"""Every way there is to read a file."""


def answers(path: Path) -> list[str]:
    """What each way of reading a file comes to: the error's name and what it was given, or `read`.

    Raises:
        Exception: Whatever a reader lets through.
    """
    told = []
    for way in WAYS:
        try:
            way(path)
            told.append("read")
        except SecateurError as error:
            told.append(f"{type(error).__name__}: {error.given}")
    return told


def main() -> None:
    from report import write_report

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    watch, content, rows = Watch(), sound(), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hostile")
        path.write_bytes(content)
        answers(path)
        for name, make in HOSTILE.items():
            path.write_bytes(make(content))
            watch.path = str(path)
            told = answers(path)
            watch.path = None
            taken = working_memory(lambda: answers(path))
            first = next(answer for answer in told if answer != "read")
            megabytes = "-" if taken is None else f"{taken / 1e6:.1f}"
            rows.append([name, f"{path.stat().st_size:,}", first[:90], megabytes])
    write_report(
        options.out,
        title="Hostile model files",
        head=["trick", "bytes", "refused with", "MB taken to read it"],
        rows=rows,
        runs=1,
        notes=(
            "Each file was read by load_state_dict, inspect, load with a builder and load without;"
            " the table tells the first refusal, and the memory that all four took. Imports, "
            "processes, sockets, pickles and other files opened meanwhile: "
            f"{dict(watch.seen) or 'none'}."
        ),
    )


if __name__ == "__main__":
    main()
