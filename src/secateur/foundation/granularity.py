"""Granularity: what is cut as one, as a word.

| word | what goes together |
|---|---|
| `weight` | a single weight |
| `2:4`, any `n:m` | of each `m` weights in a row along the inputs, `n` are kept |
| `4x4`, any `rows x columns` | a block of the weight, as a matrix of outputs and what they read |
| `kernel` | what one filter of a convolution reads of one channel |
| `filter` | a filter of one convolution |
| `channel` | a channel, with everything that shares it |
| `head` | a head of attention: queries, keys, values and what reads them |
| `branch` | a residual branch, `f` of `x + f(x)`, with all its layers |
"""

from __future__ import annotations

import re
from fractions import Fraction
from math import ceil
from typing import NamedTuple

WEIGHT, KERNEL, FILTER, CHANNEL = "weight", "kernel", "filter", "channel"
HEAD, BRANCH = "head", "branch"
CHANNELS = (FILTER, CHANNEL, HEAD, BRANCH)
"""The words of what is found by a trace; all others are of weights, by themselves or by shape."""

EXAMPLES = (WEIGHT, "2:4", "1x4", "4x1", "4x4", KERNEL, FILTER, CHANNEL, HEAD, BRANCH)

_LARGEST = 256
_N_OF_M = re.compile(r"([1-9]\d{0,2}):([1-9]\d{0,2})")
_BLOCK = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,2})")


class NOfM(NamedTuple):
    """How many weights are kept of how many in a row.

    Attributes:
        kept: `n`, at least 1.
        size: `m`, larger than that.
    """

    kept: int
    size: int

    @property
    def sparsity(self) -> float:
        """The share that goes: of `2:4` it is 0.5."""
        return (self.size - self.kept) / self.size

    def gone(self, sparsity: float) -> int:
        """How many go of each group at a sparsity: the nearest number, at most `m - n`.

        On its way to `n:m` a schedule comes by lower ones (Kao et al. 2022, arXiv 2209.07617, the
        structure decay); of two equally near, the smaller.

        Example:
            >>> [NOfM(2, 4).gone(sparsity) for sparsity in (0.1, 0.3, 0.5)]
            [0, 1, 2]
        """
        exact = Fraction(repr(float(sparsity))) * self.size
        return min(ceil(exact - Fraction(1, 2)), self.size - self.kept)

    def __str__(self) -> str:
        return f"{self.kept}:{self.size}"


class Block(NamedTuple):
    """The shape of a block."""

    rows: int
    columns: int


def n_of_m(word: str) -> NOfM | None:
    """What a word of the form `n:m` asks for; None where it is another.

    Example:
        >>> n_of_m("2:4"), n_of_m("weight")
        (NOfM(kept=2, size=4), None)
    """
    found = _N_OF_M.fullmatch(word)
    return NOfM(int(found[1]), int(found[2])) if found else None


def block(word: str) -> Block | None:
    """What a word of the form `rows x columns` asks for; None where it is another.

    Example:
        >>> block("4x1"), block("kernel")
        (Block(rows=4, columns=1), None)
    """
    found = _BLOCK.fullmatch(word)
    return Block(int(found[1]), int(found[2])) if found else None


def parse_granularity(value: object) -> str:
    """A granularity as settings write it.

    Raises:
        ValueError: It is none.

    Example:
        >>> parse_granularity("2:4")
        '2:4'
    """
    if isinstance(value, str):
        pattern, shape = n_of_m(value), block(value)
        few = pattern is not None and pattern.kept < pattern.size <= _LARGEST
        small = shape is not None and max(shape) <= _LARGEST
        if few or small or value in EXAMPLES:
            return value
    raise ValueError(
        f"{', '.join(EXAMPLES[:-1])} or {EXAMPLES[-1]}; of n:m, n are kept of m, 1 <= n < m <= 256"
    )
