"""The container: what the library writes is read, what it would refuse is refused by name."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from secateur.artifact.container import LONGEST_HEADER, Container
from secateur.artifact.reader import reading
from secateur.artifact.save import save
from secateur.errors import ArtifactError


def file(path: Path, header: Any, payload: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + payload)
    return path


def entry(shape: list[Any], start: Any, end: Any, dtype: Any = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(6).view(2, 3), "a": torch.ones(3, dtype=torch.bfloat16)}
    save_file(tensors, tmp_path / "x", {"k": "v"})
    with Container.open(tmp_path / "x") as held:
        assert held.metadata == {"k": "v"}
        assert {n: (e.dtype, e.shape) for n, e in held.entries.items()} == {
            "a": ("BF16", (3,)),
            "b": ("I64", (2, 3)),
        }
        assert held.read("b") == tensors["b"].numpy().tobytes()
        assert not held.is_signed


def test_the_library_reads_what_we_write_uncoded(tmp_path: Path) -> None:
    net = nn.Linear(4, 2)
    save(net, tmp_path / "x")
    given = load_file(tmp_path / "x")
    assert all(torch.equal(given[name], tensor) for name, tensor in net.state_dict().items())


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save(nn.Linear(2, 2), path)
    sound = path.read_bytes()
    for at in range(len(sound)):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        with pytest.raises(ArtifactError), reading(path):
            pass


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    save(nn.Linear(2, 2), path)
    sound = path.read_bytes()
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        with pytest.raises(ArtifactError):
            Container.open(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ArtifactError, match="unreadable"):
            Container.open(path)


DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000
HOSTILE: dict[str, tuple[Any, bytes]] = {
    "no object": ([], b""),
    "no JSON": (b"{", b""),
    "no text": (b"\xff\xfe{}", b""),
    "deep": (DEEP, b""),
    "a long number": (b'{"a":' + b"9" * 5000 + b"}", b""),
    "NaN": (b'{"a":NaN}', b""),
    "a name twice": (b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},' * 2 + b"}", b"x"),
    "the same name": (
        b'{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}',
        b"x",
    ),
    "metadata that is a list": ({"__metadata__": []}, b""),
    "metadata of numbers": ({"__metadata__": {"a": 1}}, b""),
    "a tensor that is a number": ({"a": 1}, b""),
    "a field too many": ({"a": entry([1], 0, 1) | {"more": 1}}, b"x"),
    "an unknown type": ({"a": entry([1], 0, 1, "F99")}, b"x"),
    "a type that is a list": ({"a": entry([1], 0, 1, ["U8"])}, b"x"),
    "a negative size": ({"a": entry([-1, -1], 0, 1)}, b"x"),
    "a size that is no integer": ({"a": entry([1.0], 0, 1)}, b"x"),
    "a size that is true": ({"a": entry([True], 0, 1)}, b"x"),
    "an infinite size": (b'{"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}}', b"x"),
    "a size that overflows": ({"a": entry([2**62, 4], 0, 0)}, b""),
    "a size of zero times a lot": ({"a": entry([2**63, 0], 0, 0)}, b""),
    "another size than its bytes": ({"a": entry([2], 0, 1)}, b"x"),
    "three offsets": ({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1, 1]}}, b"x"),
    "backwards": ({"a": entry([1], 1, 0)}, b"x"),
    "beyond the end": ({"a": entry([9], 0, 9)}, b"x"),
    "an overlap": ({"a": entry([2], 0, 2), "b": entry([2], 1, 3)}, b"xxx"),
    "twice the same bytes": ({"a": entry([2], 0, 2), "b": entry([2], 0, 2)}, b"xx"),
    "a hole": ({"a": entry([1], 0, 1), "b": entry([1], 2, 3)}, b"xxx"),
    "bytes left over": ({"a": entry([1], 0, 1)}, b"xx"),
    "a long name": ({"a" * 1000: entry([1], 0, 1)}, b"x"),
    "a name that moves the cursor": ({"\x1b[2J": entry([1], 0, 1)}, b"x"),
    "a name with NUL": ({"a\x00": entry([1], 0, 1)}, b"x"),
    "a lone surrogate": (b'{"\\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
    "many axes": ({"a": entry([1] * 1000, 0, 1)}, b"x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_a_named_error(tmp_path: Path, name: str) -> None:
    header, payload = HOSTILE[name]
    with pytest.raises(ArtifactError) as refused:
        Container.open(file(tmp_path / "x", header, payload))
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, LONGEST_HEADER + 1, 100])
def test_a_header_longer_than_it_may_be_is_not_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x"
    with path.open("wb") as made:
        made.write(struct.pack("<Q", length))
        made.truncate(LONGEST_HEADER + 100 if length > 100 else 50)
    with pytest.raises(ArtifactError):
        Container.open(path)
