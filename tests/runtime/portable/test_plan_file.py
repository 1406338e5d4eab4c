"""Plan files: what was written comes back, and what was tampered with is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from secateur.errors import ArtifactError, KernelError
from secateur.runtime.compiler.portable import portable_plan
from secateur.runtime.kernels import kernels
from secateur.runtime.portable.net import Net
from secateur.runtime.portable.plan_file import (
    HEAD,
    OP,
    WEIGHT,
    PlanFile,
    StoredWeight,
    decode,
    encode,
    ops_of,
    read_plan,
)

pytestmark = pytest.mark.skipif(not kernels.available(), reason="no native kernels here")
_SUM = HEAD.itemsize - 32


def sealed(content: bytearray) -> bytes:
    """With the checksum that its bytes have, as somebody with bad intentions would."""
    content[_SUM : _SUM + 32] = bytes(32)
    content[_SUM : _SUM + 32] = hashlib.sha256(content).digest()
    return bytes(content)


@pytest.fixture(scope="module")
def content() -> bytes:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    return encode(portable_plan(net, torch.zeros(1, 1, 4, 4)))


def test_the_records_are_as_large_as_in_c() -> None:
    assert (HEAD.itemsize, OP.itemsize, WEIGHT.itemsize) == (128, 96, 32)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e-40]), max_size=80), st.integers(0, 5))
def test_a_weight_comes_back(values: list[float], bias: int) -> None:
    weight = StoredWeight(np.float32(values), np.arange(bias, dtype=np.float32))
    none = ops_of([])
    found = decode(encode(PlanFile((2,), (3, 1), none, none, (weight, weight))))
    assert (found.inputs, found.outputs) == ((2,), (3, 1))
    for one in found.weights:
        assert np.array_equal(one.values, weight.values)
        assert np.array_equal(one.bias, weight.bias)


def test_ninety_percent_zeros_take_an_eighth() -> None:
    values = np.zeros(32_000, np.float32)
    values[::10] = 1
    none = ops_of([])
    weight = StoredWeight(values, np.zeros(0, np.float32))
    size = len(encode(PlanFile((1,), (1,), none, none, (weight,))))
    assert size < values.nbytes / 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c[:0], "no plan file"),
        (lambda c: c[:8], "no plan file"),
        (lambda c: bytes(len(c)), "no plan file"),
        (lambda c: c[:-1], "damaged"),
        (lambda c: bytes([*c[:-5], c[-5] ^ 1, *c[-4:]]), "damaged"),
        (lambda c: sealed(bytearray(c[:8] + b"\x09" + c[9:])), "of version 9"),
        (lambda c: sealed(bytearray(c[:200])), "shorter than its tables"),
        (lambda c: sealed(bytearray(c[:-40])), "a weight outside the file"),
    ],
)
def test_what_is_no_sound_file_is_refused(content: bytes, change: object, words: str) -> None:
    with pytest.raises(ArtifactError, match=words):
        decode(change(content), "net.plan")  # type: ignore[operator]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nothing\.plan is unreadable"):
        read_plan(tmp_path / "nothing.plan")


def test_any_flipped_byte_of_the_tables_runs_or_is_refused(tmp_path: Path, content: bytes) -> None:
    """With a checksum that fits: what lies in memory behind it is never touched."""
    tables = HEAD.itemsize + OP.itemsize * 6 + WEIGHT.itemsize * 2
    for place in range(8, tables, 13):
        if _SUM <= place < _SUM + 32:
            continue
        for value in (1, 255):
            hostile = bytearray(content)
            hostile[place] = value
            (tmp_path / "x.plan").write_bytes(sealed(hostile))
            try:
                net = Net(tmp_path / "x.plan")
                net(np.zeros((1, *net.inputs), np.float32))
            except (ArtifactError, KernelError):
                pass
