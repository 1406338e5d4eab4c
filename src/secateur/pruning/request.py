"""The request: what a caller asks for, checked before anything is scored."""

from __future__ import annotations

import numbers
import operator
from decimal import Decimal
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from secateur.errors import MaskError, UnknownNameError


def checked_number(value: object, subject: str, operation: str = "prune") -> float:
    """Return a number as a float, whoever made it: Python, numpy or torch.

    A float32 of numpy or torch means the decimal number that it prints: `np.float32(0.9)` is 0.9.

    Args:
        value: What was given. A truth value is no number, and neither is a text.
        subject: What it is, for the message.
        operation: What was being done, for the message.

    Raises:
        MaskError: It is not a number.

    Example:
        >>> checked_number(np.float32(0.9), "sparsity"), checked_number(torch.tensor(2), "seed")
        (0.9, 2.0)
    """
    plain = _scalar(value)
    if isinstance(plain, np.floating):
        return float(str(plain))
    if not isinstance(plain, bool) and isinstance(plain, numbers.Real | Decimal):
        return float(plain)
    raise MaskError(
        operation,
        subject,
        given=f"{value!r:.60}",
        expected="a number",
        remedy="Pass a number, as 0.9; one of numpy or a tensor of one element will do.",
    )


def _scalar(value: object) -> object:
    if isinstance(value, Tensor) and value.ndim == 0 and value.device.type != "meta":
        if value.dtype == torch.bfloat16:
            return value.item()
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value[()]
    return value


def checked_sparsity(sparsity: object, operation: str = "prune") -> float:
    """Return `sparsity` as a float if it is a number from 0 up to, but not, 1.

    Raises:
        MaskError: It is not.

    Example:
        >>> checked_sparsity(0.9)
        0.9
    """
    try:
        number = checked_number(sparsity, "sparsity", operation)
    except MaskError:
        number = float("nan")
    if not 0 <= number < 1:
        raise MaskError(
            operation,
            "sparsity",
            given=f"{sparsity!r:.60}",
            expected="a number from 0 up to, but not including, 1",
            remedy="Pass the share to cut: 0.9 keeps a tenth of the weights.",
        )
    return number


def checked_word(kind: str, word: object, known: object) -> object:
    """The word, if it is None or one of a `Literal`'s; of any other the nearest is suggested.

    Raises:
        UnknownNameError: It is none of them.

    Example:
        >>> from secateur.pruning.allocation import Ranking
        >>> checked_word("ranking", "globl", Ranking)
        Traceback (most recent call last):
        ...
        secateur.errors.UnknownNameError: looking up a ranking: the ranking is 'globl', \
expected one of global, layer, output. Did you mean 'global'?
    """
    words = get_args(known)
    if word is not None and word not in words:
        raise UnknownNameError(kind, word, words)
    return word


def checked_multiple(round_to: object, *, weights_only: bool) -> int:
    """Return `round_to` as an int: a whole number of channels, and 1 for single weights.

    Raises:
        MaskError: It is not.

    Example:
        >>> checked_multiple(np.int64(8), weights_only=False)
        8
    """
    try:
        number = 0 if isinstance(round_to, bool) else operator.index(round_to)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if number < 1 or (weights_only and number > 1):
        raise MaskError(
            "prune",
            "round_to",
            given=f"{round_to!r:.60}{' for single weights' if weights_only else ''}",
            expected="a whole number of channels, at least 1",
            remedy="Pass 8 with a method that cuts filters or channels; leave it out otherwise.",
        )
    return number
