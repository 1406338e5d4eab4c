"""A check of a call: whether a function of the user's own takes what it will be called with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from secateur.errors import UsageError


def check_takes(function: Callable[..., Any], arguments: Sequence[str], subject: str) -> None:
    """Refuse a function that cannot be called so, before it is.

    A `TypeError` of the call itself passes no line of the user's own, and looks like an error of
    ours.

    Args:
        function: Of the user's own. One that does not tell what it takes is let be.
        arguments: The names of what it is called with, in order; its own names may be others.
        subject: What it is, for messages: `evaluate`.

    Raises:
        UsageError: It takes fewer, or needs more.

    Example:
        >>> check_takes(lambda model: {}, ("model", "split"), "evaluate")
        Traceback (most recent call last):
        ...
        secateur.errors.UsageError: looking at evaluate: <lambda> is a function of (model), \
expected one that is called as evaluate(model, split). Give it these arguments.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        raise UsageError(
            f"looking at {subject}",
            getattr(function, "__name__", type(function).__name__),
            given=f"a function of {str(signature)[:200]}",
            expected=f"one that is called as {subject}({', '.join(arguments)})",
            remedy="Give it these arguments.",
        ) from None
