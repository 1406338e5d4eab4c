"""Every error that secateur raises on purpose.

One shape for all: what was being done, to which tensor or option, what was given, what was
expected, and what to do about it. The command line prints the message and nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST = 4000


class SecateurError(Exception):
    """The base of every deliberate error.

    Args:
        operation: What was being done, as a gerund or a name (`"prune"`, `"reading study.toml"`).
        subject: The tensor, layer, option or file at fault.
        given: What it was.
        expected: What it should have been.
        remedy: What the reader can do about it, one sentence.

    Example:
        >>> raise MaskError("prune", "sparsity", given="1.2", expected="0 <= sparsity < 1",
        ...                 remedy="Pass a share, not a percentage.")
        Traceback (most recent call last):
        ...
        secateur.errors.MaskError: prune: sparsity is 1.2, expected 0 <= sparsity < 1. \
Pass a share, not a percentage.
    """

    def __init__(
        self, operation: str, subject: str, *, given: str, expected: str, remedy: str
    ) -> None:
        self.operation = operation
        self.subject = _bounded(subject)
        self.given = _bounded(given)
        self.expected = _bounded(expected)
        self.remedy = remedy
        super().__init__(
            f"{operation}: {self.subject} is {self.given}, expected {self.expected}. {remedy}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild across processes: exceptions pickle by positional arguments alone."""
        return _rebuild, (type(self), self.__dict__.copy(), str(self))


def _bounded(text: str) -> str:
    """Words of others may be of any length: nobody reads 50 MB."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _rebuild(kind: type[SecateurError], fields: dict[str, object], message: str) -> SecateurError:
    error = kind.__new__(kind)
    error.__dict__.update(fields)
    error.args = (message,)
    return error


class UsageError(SecateurError):
    """What the user asked for cannot be: the command exits with 2."""


def with_article(noun: str) -> str:
    """A noun with `a` or `an` before it.

    Example:
        >>> with_article("executor"), with_article("model")
        ('an executor', 'a model')
    """
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


_OWN = "package.module:name, of one of your own: none is registered"


class UnknownNameError(UsageError):
    """A name that no registry knows; the nearest known one is suggested.

    Args:
        kind: What was looked up: `"method"`, `"model"`, `"data set"`.
        name: The name that was given.
        known: The names there are.
        meant: The one that was probably meant, where that is known.
        hint: What else there is to do, behind that.
        remedy: What there is to do, where it is known better than by a guess.
    """

    def __init__(
        self,
        kind: str,
        name: object,
        known: Iterable[str],
        meant: str = "",
        *,
        hint: str = "",
        remedy: str = "",
    ) -> None:
        names = sorted(known)
        near = [meant] if meant else difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
        if not remedy and names:
            remedy = f"Did you mean {near[0]!r}?" if near else "Choose one of these."
        super().__init__(
            f"looking up {with_article(kind)}",
            f"the {kind}",
            given=f"{name!r:.60}",
            expected=f"one of {', '.join(names)}" if names else _OWN,
            remedy=f"{remedy} {hint}".strip() or "Name it so.",
        )


class SpecError(UsageError):
    """A study's settings are wrong: unknown key, value out of range, TOML syntax."""


class DataError(UsageError):
    """A data set is missing, damaged, empty, or its labels do not fit its classes."""


class ModelError(UsageError):
    """A network cannot be built, run on the data, or pruned."""


class MaskError(UsageError):
    """Masks, scores or a sparsity that do not fit the model."""


class ChannelError(UsageError):
    """The channels of a network cannot be traced or taken out exactly."""


class DeviceError(UsageError):
    """A device was asked for that this machine does not have."""


class KernelError(UsageError):
    """The native kernels are not there, or were asked for what they cannot do."""


class StoreError(UsageError):
    """A run folder cannot be read or written, or belongs to another study."""


class ArtifactError(UsageError):
    """A model file is damaged, hostile, too new, or does not fit; or a net cannot become one."""


class TrainingError(SecateurError):
    """Training broke: a loss or a weight that is not finite."""
