from __future__ import annotations

import pytest

from secateur.foundation.granularity import EXAMPLES, Block, NOfM, block, n_of_m, parse_granularity


@pytest.mark.parametrize("word", [*EXAMPLES, "1:2", "3:7", "255:256", "1x1", "256x3"])
def test_every_word_means_itself(word: str) -> None:
    assert parse_granularity(word) == word


@pytest.mark.parametrize(
    "word",
    [
        *("", "row", "2:2", "4:2", "0:4", "2:0", "2:4 ", "2:4\n", "-1:4", "02:4", "1:257"),
        *("1:1000", "0x4", "4X4", "4x4x4", "257x1", "x", "2.0:4", "٢:٤", 4, None, True, ["2:4"]),
    ],
)
def test_what_is_no_granularity_is_refused(word: object) -> None:
    with pytest.raises(ValueError, match="n are kept of m, 1 <= n < m <= 256"):
        parse_granularity(word)


def test_n_is_what_is_kept() -> None:
    assert n_of_m("1:4") == NOfM(kept=1, size=4)
    assert [NOfM(1, 4).sparsity, NOfM(2, 4).sparsity, NOfM(5, 8).sparsity] == [0.75, 0.5, 0.375]
    assert [n_of_m(word) for word in ("weight", "4x4", "kernel", "channel")] == [None] * 4
    assert block("4x1") == Block(rows=4, columns=1)
    assert block("2:4") is None


@pytest.mark.parametrize("size", range(2, 33))
def test_at_its_own_sparsity_a_pattern_is_reached_whatever_the_rounding(size: int) -> None:
    for kept in range(1, size):
        pattern = NOfM(kept, size)
        assert pattern.gone(pattern.sparsity) == size - kept
        assert pattern.gone(0.999999) == size - kept


def test_on_the_way_the_nearest_number_goes_and_of_two_the_smaller() -> None:
    shares = (0.0, 0.124, 0.125, 0.126, 0.374, 0.375, 0.376, 0.5, 0.9)
    assert [NOfM(2, 4).gone(share) for share in shares] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
