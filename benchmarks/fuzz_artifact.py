"""Mutates model files at random, and shows that reading them ends well or in a named error.

    python benchmarks/fuzz_artifact.py --cases 100000 --out benchmarks/fuzz_artifact.md

Three kinds of damage: to bytes anywhere; to the fields of the header and of the manifest, signed
anew so that the checksum does not stop it; and to the payload, signed anew likewise. While a file
is read, an audit hook watches for imports, other opened files, processes and sockets.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import random
import re
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from secateur.artifact.container import DIGEST
from secateur.artifact.inspect import inspect
from secateur.artifact.load import load, load_state_dict
from secateur.artifact.manifest import KEY, Source
from secateur.artifact.save import save
from secateur.errors import SecateurError

MEMORY = 3 << 30
_WATCHED = ("exec", "import", "os.", "subprocess.", "socket.", "pickle.", "ctypes.", "open")
_NUMBERS = (
    -1,
    0,
    1,
    2,
    3,
    7,
    255,
    256,
    2**31,
    2**32,
    2**53,
    2**62,
    2**63,
    2**64,
    10**30,
    1e308,
    0.5,
)
_TEXTS = ("", "F32", "U8", "I64", "BF16", "C64", "F4", "../../etc/passwd", "/dev/zero", "a" * 600,
          "\x00", "\x1b[2J", "os:system", "0.weight", "1.weight", "0-3", "9-1", "__class__",
          "forward", "vgg19-bn", "lenet-300-100", "running_mean", "é", "\ud800")  # fmt: skip


def small_net() -> nn.Module:
    """A net with something of everything that a file can say."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 8, 3, groups=2), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 40),
        nn.Linear(40, 40), nn.Linear(40, 40),
    )  # fmt: skip
    net[4].weight = net[5].weight
    net[0].to(memory_format=torch.channels_last)
    with torch.no_grad():
        net[3].weight[torch.rand(40, 8) < 0.9] = 0
        net[4].weight[torch.rand(40, 40) < 0.95] = 0
    net[3].half()
    return net


def seeds(folder: Path) -> list[bytes]:
    """Sound files to start from."""
    net = small_net()
    save(net, folder / "a")
    dense = nn.Linear(8, 4)
    kept = {"weight": {0: torch.tensor([0, 2])}, "bias": {0: torch.tensor([0, 2])}}
    save(
        nn.Linear(8, 2), folder / "b", {"weight": torch.ones(4, 8, dtype=torch.bool)}, {"a": 1.5},
        dense=dense, kept=kept, example_inputs=torch.zeros(1, 8), source="mine:net",
        run={"seed": 0},
    )  # fmt: skip
    from secateur.models import build

    lenet = build("lenet-300-100", (1, 4, 4), 2)
    with torch.no_grad():
        for parameter in lenet.parameters():
            parameter[torch.rand(parameter.shape) < 0.98] = 0
    save(lenet, folder / "c", source=Source(name="lenet-300-100", shape=[1, 4, 4], classes=2))
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2, 8), "bias": torch.zeros(2)}, folder / "d")
    return [(folder / name).read_bytes() for name in "abcd"]


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a sound file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: object, payload: bytes) -> bytes:
    """A file of them, with the SHA-256 that it should have if it has one."""
    blank = "0" * 64
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        metadata = header["__metadata__"]
        if DIGEST in metadata:
            metadata[DIGEST] = blank
    text = json.dumps(header, separators=(",", ":")).encode("utf-8", "replace")
    content = struct.pack("<Q", len(text)) + text + payload
    return content.replace(blank.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bits flipped, bytes lost, doubled or made up."""
    held = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at = rng.randrange(len(held) + 1) if rng.random() < 0.7 else rng.randrange(9)
        match rng.randrange(6):
            case 0:
                held[at:at] = rng.randbytes(rng.choice((1, 8, 64)))
            case 1:
                del held[at:]
            case 2:
                del held[at : at + rng.choice((1, 8, 64))]
            case 3:
                held[at : at + 8] = rng.randbytes(8)
            case 4:
                held[at:at] = held[: rng.randrange(len(held) + 1)]
            case _:
                if at < len(held):
                    held[at] ^= 1 << rng.randrange(8)
    return bytes(held[: 1 << 20])


def damaged_fields(content: bytes, rng: random.Random) -> bytes:
    """Fields of the header or of the manifest changed, and the file signed anew."""
    header, payload = split(content)
    metadata = header.get("__metadata__", {})
    for _ in range(rng.choice((1, 1, 2, 4))):
        if KEY in metadata and rng.random() < 0.7:
            try:
                manifest = json.loads(metadata[KEY])
            except (ValueError, TypeError):
                break
            metadata[KEY] = json.dumps(change(manifest, rng), separators=(",", ":"))
        else:
            header = change(header, rng)
            metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
            metadata = metadata if isinstance(metadata, dict) else {}
    return joined(header, payload)


def damaged_payload(content: bytes, rng: random.Random) -> bytes:
    """Bytes of tensors and of codes changed, and the file signed anew."""
    header, payload = split(content)
    held = bytearray(payload)
    for _ in range(rng.choice((1, 2, 8))):
        at = rng.randrange(len(held))
        held[at] = rng.choice((0, 255, held[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
    return joined(header, bytes(held))


def change(tree: Any, rng: random.Random) -> Any:
    """One value somewhere in a JSON tree made another."""
    if not isinstance(tree, dict | list) or not tree:
        return rng.choice((None, 1, "x", [], {}))
    tree = copy.deepcopy(tree)
    places: list[tuple[Any, Any]] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(items):
            places.append((node, key))
            if isinstance(value, dict | list):
                pending.append(value)
    node, key = rng.choice(places)
    match rng.randrange(7):
        case 0:
            node[key] = rng.choice(_NUMBERS)
        case 1:
            node[key] = rng.choice(_TEXTS)
        case 2:
            del node[key]
        case 3 if isinstance(node, dict):
            node[rng.choice(_TEXTS)] = node.pop(key)
        case 4 if isinstance(node[key], int):
            node[key] += rng.choice((-8, -1, 1, 4, 8, 64))
        case 5:
            node[key] = rng.choice(([], {}, None, True, [node[key]], {"": node[key]}))
        case _:
            other, where = rng.choice(places)
            if where in other if isinstance(other, dict) else where < len(other):
                node[key] = copy.deepcopy(other[where])
    return tree


KINDS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "bytes": damaged_bytes,
    "fields, signed": damaged_fields,
    "payload, signed": damaged_payload,
}


class Watch:
    """What happens while a file is read that should not."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.seen: Counter[str] = Counter()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.path is None or not event.startswith(_WATCHED):
            return
        if event == "open" and str(args[0]) == self.path:
            return
        self.seen[f"{event} {str(args[0])[:60]}"] += 1


def read(path: Path) -> tuple[str, str]:
    """Read a file in every way there is; what came of the first, and its message without names."""
    outcomes = []
    ways: tuple[Callable[[], object], ...] = (
        lambda: load_state_dict(path),
        lambda: inspect(path).to_dict(),
        lambda: load(path, small_net),
        lambda: load(path),
    )
    for way in ways:
        try:
            way()
            outcomes.append(("read", ""))
        except SecateurError as error:
            if len(str(error)) > 2000:
                raise ValueError("a message of a hostile length") from error
            outcomes.append((type(error).__name__, re.sub(r"[^a-z ]+", "", error.expected)))
    return outcomes[0]


def fuzz(
    cases: int, seed: int, folder: Path, watch: Watch, corpus: Path | None = None
) -> dict[str, Counter[str]]:
    """Read so many mutated files; outcomes by kind of damage.

    The first file to end in each message is kept in `corpus`.

    Raises:
        Exception: Whatever a reader lets through; the file is kept beside as `failing`.
    """
    sound = seeds(folder)
    found: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    kept: set[tuple[str, str]] = set()
    path = folder / "mutated.safetensors"
    for content in sound:
        path.write_bytes(content)
        read(path)
    for case in range(cases):
        rng = random.Random(seed * 1_000_003 + case)
        kind = rng.choice(list(KINDS))
        content = KINDS[kind](rng.choice(sound), rng)
        path.write_bytes(content)
        watch.path = str(path)
        try:
            outcome, message = read(path)
        except BaseException:
            path.rename(folder / "failing")
            print(f"case {case} of seed {seed}, {kind}: {folder / 'failing'}", file=sys.stderr)
            raise
        finally:
            watch.path = None
        found[kind][outcome] += 1
        if corpus is not None and (kind, message) not in kept:
            kept.add((kind, message))
            name = f"{outcome}-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
            (corpus / name).write_bytes(content)
    return found


def main() -> None:
    from report import write_report

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="Where to keep a file for each message.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    watch = Watch()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    shm = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=shm) as folder:
        found = fuzz(options.cases, options.seed, Path(folder), watch, options.corpus)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    outcomes = sorted({name for counts in found.values() for name in counts})
    write_report(
        options.out,
        title="Fuzzing the reader of model files",
        head=["damage", "cases", *outcomes],
        rows=[
            [kind, sum(counts.values()), *(counts[name] for name in outcomes)]
            for kind, counts in found.items()
        ],
        runs=1,
        notes=(
            f"{options.cases:,} files in {time.monotonic() - start:.0f} s. Each was read by "
            "load_state_dict, inspect, load with a builder and load without; the table counts what "
            "the first came to. `read` under damaged bytes: a file that carries no checksum. "
            "Nothing but the named errors was raised. Imports, processes, sockets, pickles and "
            f"other files opened meanwhile: {dict(watch.seen) or 'none'}. Address space was "
            f"limited to {MEMORY >> 30} GiB; resident memory grew by {grown:.0f} MB."
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
