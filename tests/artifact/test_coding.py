"""Zero coding: what goes in comes out, in fewer bytes, and nothing hostile gets through."""

from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from secateur.artifact import coding
from secateur.artifact.coding import Coded, CodingError, Words, decode, encode

UNSIGNED = [np.uint8, np.uint16, np.uint32, np.uint64]


def sparse(size: int, every: int, dtype: type = np.uint32) -> Words:
    words = np.zeros(size, dtype=dtype)
    words[::every] = np.arange(1, len(words[::every]) + 1)
    return words


def coded(words: Words) -> Coded:
    code = encode(words)
    assert code is not None
    return code


def there_and_back(words: Words) -> Words:
    out = np.zeros_like(words)
    decode(coded(words), out)
    return out


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(UNSIGNED).flatmap(
        lambda dtype: arrays.arrays(dtype, st.integers(300, 3000), fill=st.just(0))
    )
)
def test_what_is_coded_comes_back_bit_by_bit(words: Words) -> None:
    code = encode(words)
    if code is not None:
        out = np.zeros_like(words)
        decode(code, out)
        assert np.array_equal(out, words)
        assert len(code.blob) < words.nbytes


@pytest.mark.parametrize("dtype", UNSIGNED)
@pytest.mark.parametrize("every", [3, 254, 255, 256, 257, 510, 511, 4000, 999_999])
def test_every_length_of_gap(every: int, dtype: type) -> None:
    words = sparse(1_000_000, every, dtype)
    assert np.array_equal(there_and_back(words), words)


@pytest.mark.parametrize("at", [0, coding.BLOCK - 1, coding.BLOCK, 3 * coding.BLOCK])
def test_gaps_reach_over_blocks(at: int) -> None:
    words = np.zeros(3 * coding.BLOCK + 1, dtype=np.uint16)
    words[at] = 7
    assert np.array_equal(there_and_back(words), words)


def test_nothing_but_zeros_takes_no_more_than_empty_frames() -> None:
    words = np.zeros(1000, dtype=np.uint32)
    assert coded(words).nonzero == 0
    assert len(coded(words).blob) == 5 * 9
    assert np.array_equal(there_and_back(words), words)


@pytest.mark.parametrize(
    "words", [np.empty(0, np.uint32), np.arange(1, 999, dtype=np.uint32), np.zeros(2, np.uint8)]
)
def test_what_would_not_be_smaller_is_not_coded(words: Words) -> None:
    assert encode(words) is None


@pytest.mark.parametrize(("sparsity", "share"), [(0.8, 0.83), (0.9, 0.83), (0.99, 0.83)])
def test_magnitude_pruned_weights_take_less_than_their_entropy(
    sparsity: float, share: float
) -> None:
    weights = np.random.default_rng(0).standard_normal(1 << 18).astype(np.float32)
    weights[np.abs(weights) < np.quantile(np.abs(weights), sparsity)] = 0
    density = np.count_nonzero(weights) / weights.size
    entropy = -density * np.log2(density) - (1 - density) * np.log2(1 - density)
    bound = weights.size * (entropy + 32 * density) / 8
    assert len(coded(weights.view(np.uint32)).blob) < share * bound


GOOD = coded(sparse(10_000, 300))
PLANES = GOOD.frames[1:]


@pytest.mark.parametrize(
    "code",
    [
        replace(GOOD, nonzero=GOOD.nonzero + 1),
        replace(GOOD, nonzero=10_001),
        replace(GOOD, gaps=GOOD.gaps + 1),
        replace(GOOD, gaps=1 << 60, nonzero=1 << 59),
        replace(GOOD, frames=GOOD.frames[:-1]),
        replace(GOOD, frames=(-1, GOOD.frames[0] + GOOD.frames[1] + 1, *GOOD.frames[2:])),
        replace(GOOD, frames=(GOOD.frames[0] + 1, GOOD.frames[1] - 1, *GOOD.frames[2:])),
        replace(GOOD, blob=GOOD.blob[:-1]),
        replace(GOOD, blob=bytes(len(GOOD.blob))),
        replace(GOOD, blob=GOOD.blob[:4] + b"\xff" * 8 + GOOD.blob[12:]),
    ],
)
def test_a_code_that_no_encoder_writes_is_refused(code: Coded) -> None:
    with pytest.raises(CodingError):
        decode(code, np.zeros(10_000, dtype=np.uint32))


def test_a_code_for_a_longer_array_is_refused() -> None:
    with pytest.raises(CodingError, match="beyond the end"):
        decode(GOOD, np.zeros(9_000, dtype=np.uint32))


def test_a_decompression_bomb_takes_no_memory() -> None:
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(1 << 26))
    frames = (len(bomb), *PLANES)
    code = Coded(GOOD.nonzero, GOOD.gaps, frames, bomb + GOOD.blob[GOOD.frames[0] :])
    with pytest.raises(CodingError, match=f"a frame of {1 << 26} bytes"):
        decode(code, np.zeros(10_000, dtype=np.uint32))


def test_a_bomb_that_hides_its_size_is_refused() -> None:
    bomb = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(1 << 26))
    code = Coded(GOOD.nonzero, GOOD.gaps, (len(bomb), *PLANES), bomb + GOOD.blob[GOOD.frames[0] :])
    with pytest.raises(CodingError):
        decode(code, np.zeros(10_000, dtype=np.uint32))
