"""Claims: what a file says of itself and its own bytes contradict."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from artifact_hostile import sound, with_manifest
from torch import nn

from secateur.artifact.container import DIGEST
from secateur.artifact.inspect import inspect
from secateur.artifact.load import load_state_dict
from secateur.artifact.manifest import KEY
from secateur.artifact.memory import working_memory
from secateur.artifact.save import save
from secateur.errors import ArtifactError

Change = Callable[[dict[str, Any]], object]


def coded(**fields: Any) -> Change:
    return lambda manifest: manifest["coded"]["0.weight"].update(fields)


CLAIMS: dict[str, tuple[Change, str]] = {
    "a sparsity of 1e18": (coded(zeros=1 << 61), "with 3,6.. zeros, expected the 2,305,843,009"),
    "one zero more than there is": (
        lambda manifest: manifest["coded"]["0.weight"].update(
            zeros=manifest["coded"]["0.weight"]["zeros"] + 1
        ),
        "zeros, expected the",
    ),
    "zeros of a larger tensor": (coded(shape=[64, 65]), "zeros, expected the"),
    "more values than there are": (coded(nonzero=5000), "lengths that do not agree"),
    "a smaller net before": (
        lambda manifest: manifest.update(dense={"1.weight": [1, 64]}),
        r"of shape \[2, 64\], expected at most \[1, 64\]",
    ),
    "channels that it has not": (
        lambda manifest: manifest.update(kept=["0-9"], slots={"1.weight": {"0": 0}}),
        "10 channels of '1.weight', expected the 2",
    ),
    "channels of an axis that it has not": (
        lambda manifest: manifest.update(kept=["0-1"], slots={"1.weight": {"7": 0}}),
        "an axis that it has",
    ),
    "channels of a tensor that it has not": (
        lambda manifest: manifest.update(kept=["0-1"], slots={"gone": {"0": 0}}),
        "an axis that it has",
    ),
    "channels that go backwards": (
        lambda manifest: manifest.update(kept=["9-0"], slots={"1.weight": {"0": 0}}),
        "ascending ones",
    ),
    "channels beyond the net before": (
        lambda manifest: manifest.update(
            kept=["0,5"], slots={"1.weight": {"0": 0}}, dense={"1.weight": [4, 64]}
        ),
        "ascending ones below 4",
    ),
    "a mask that keeps more than all": (
        lambda manifest: manifest.update(masks={"1.weight": [200, 128]}),
        "keeps 200, expected at most its 128",
    ),
    "more multiply-adds that count than there are": (
        lambda manifest: manifest.update(layers={"1": {"kind": "Linear", "macs": 1, "nonzero": 2}}),
        "expected at most its 1",
    ),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_that_the_bytes_contradict_is_refused(tmp_path: Path, claim: str) -> None:
    change, said = CLAIMS[claim]
    (tmp_path / "x").write_bytes(with_manifest(change)(sound()))
    with pytest.raises(ArtifactError, match=said):
        inspect(tmp_path / "x")


def test_zeros_are_counted_in_the_code_minus_zeros_too(tmp_path: Path) -> None:
    net = nn.Linear(100, 100)
    with torch.no_grad():
        net.weight[:90] = 0
        net.weight[90] = -0.0
    save(net, tmp_path / "x")
    assert b"coded" in (tmp_path / "x").read_bytes()[:2000]
    assert inspect(tmp_path / "x").totals()["zeros"] == 9100


def test_a_code_that_takes_forever_to_read_is_refused_before_it_is_read(tmp_path: Path) -> None:
    change = coded(shape=[1 << 30, 1 << 30], nonzero=1 << 50, gaps=1 << 50)
    (tmp_path / "x").write_bytes(with_manifest(change)(sound()))
    with pytest.raises(ArtifactError, match="unfold to"):
        inspect(tmp_path / "x")


def test_text_with_half_of_a_character_is_refused(tmp_path: Path) -> None:
    for name, value in ((KEY, "\ud800"), (DIGEST, "\udfff"), ("\udc9b", "x"), (KEY, "a\udc00b")):
        (tmp_path / "x").write_bytes(_file(json.dumps({"__metadata__": {name: value}}).encode()))
        for read in (inspect, load_state_dict):
            with pytest.raises(ArtifactError, match="half of a character"):
                read(tmp_path / "x")
    inner = with_manifest(lambda manifest: manifest.update(source={"name": "\ud800"}))
    (tmp_path / "x").write_bytes(inner(sound()))
    with pytest.raises(ArtifactError, match="manifest"):
        inspect(tmp_path / "x")


# Sixteen megabytes of the shortest values that there are.
BOMBS = {
    "lists": "[" + "[]," * (5 << 20) + "[]]",
    "names": "{" + ",".join(f'"{n:x}":1' for n in range(1_300_000)) + "}",
    "escapes": '"' + "\\\\" * (7 << 20) + '"',
    "wide letters": '"' + "\U0001f33f" * (3 << 20) + '"',
}


def _file(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize("bomb", BOMBS)
def test_sixteen_megabytes_of_header_take_little_memory(tmp_path: Path, bomb: str) -> None:
    inside = json.dumps(BOMBS[bomb][: 7 << 20], ensure_ascii=False)
    for text in (BOMBS[bomb], f'{{"__metadata__":{{"{KEY}":{inside}}}}}'):
        (tmp_path / "x").write_bytes(_file(text.encode()))

        def read() -> None:
            with pytest.raises(ArtifactError):
                inspect(tmp_path / "x")

        taken = working_memory(read)
        assert taken is None or taken < 256 << 20
