"""Layers: which of a network's layers a cut may touch, and how much of each may go.

- `only`: the layers that are ranked and cut. What reads their channels loses columns when the net
  is compacted, as ever; what else computes one of their channels keeps it.
- `exclude`: layers that keep every element, their whole life: no channel that they compute or read
  is cut, so that compaction leaves them whole, too.
- a table of sparsities: each pattern's weights are ranked by themselves and lose that share; the
  first pattern that matches a weight counts, and what none matches loses nothing.
- `max_sparsity`: the highest share of a single layer that may go; others give what it does not.
- `protected`: the share of every layer's channels that stay, its best ones: the same for cuts of
  filters and channels, which otherwise may leave a layer a single one. The stricter one holds.
- `prunable`: parameters that count as prunable weights though nothing else says so.

A sparsity is a share of the weights that are chosen so: those of the method's scope that `only`
names, without those that `exclude` names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from torch import nn

from secateur.errors import MaskError
from secateur.pruning.patterns import Pattern
from secateur.pruning.request import checked_number, checked_sparsity

Shares = tuple[tuple[Pattern, float], ...]
"""Pattern -> share of the weights; the first that matches counts."""
Sparsity = float | Shares


@dataclass(frozen=True)
class Layers:
    """A choice of layers, in words; empty: all of them, as much as the ranking says.

    Attributes:
        exclude: Layers that keep every element.
        only: The layers that are cut; empty for all.
        prunable: Parameters that count as prunable weights, too.
        max_sparsity: The highest share of each layer's weights that may go.
        protected: The share of each layer's channels that stay, in cuts of filters and channels.

    Example:
        >>> Layers(exclude=("fc",)) == Layers(), bool(Layers()), bool(Layers(only=("conv1",)))
        (False, False, True)
    """

    exclude: tuple[Pattern, ...] = ()
    only: tuple[Pattern, ...] = ()
    prunable: tuple[Pattern, ...] = ()
    max_sparsity: Shares = ()
    protected: float = 0.0

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


ALL_LAYERS = Layers()

_MOST = "Pass the highest share of a layer that may go: 0.95 keeps a twentieth."
_PROTECTED = "Pass the share of each layer's channels that stay: 0.1 keeps a tenth."


def checked_level(sparsity: object, operation: str = "prune") -> list[Sparsity]:
    """One sparsity, or one for each part of a method, as a list; tables as pairs.

    Raises:
        MaskError: It is neither.

    Example:
        >>> checked_level(0.5), checked_level((0.5, 0.9)), checked_level({"features.*": 0.5})
        ([0.5], [0.5, 0.9], [(('features.*', 0.5),)])
    """
    several = isinstance(sparsity, Iterable) and not isinstance(sparsity, str | bytes | Mapping)
    if several and getattr(sparsity, "ndim", 1) > 0:
        return [_checked_part(one, operation) for one in sparsity]  # type: ignore[attr-defined]
    return [_checked_part(sparsity, operation)]


def _checked_part(sparsity: object, operation: str) -> Sparsity:
    if isinstance(sparsity, Mapping):
        if not sparsity:
            raise _no_table("sparsity", sparsity)
        return tuple(
            (_checked_pattern("sparsity", pattern), checked_sparsity(share, operation))
            for pattern, share in sparsity.items()
        )
    return checked_sparsity(sparsity, operation)


def checked_layers(
    exclude: object,
    only: object,
    prunable: object,
    max_sparsity: object,
    protected: object = 0.0,
) -> Layers:
    """A choice of layers, as `Layers`.

    Raises:
        MaskError: A pattern or a share is none.

    Example:
        >>> checked_layers("fc", [], (), 0.9)
        Layers(exclude=('fc',), only=(), prunable=(), max_sparsity=(('*', 0.9),), protected=0.0)
    """
    return Layers(
        _checked_patterns("exclude", exclude),
        _checked_patterns("only", only),
        _checked_patterns("prunable", prunable),
        _checked_most(max_sparsity),
        _checked_share("protected", protected, _PROTECTED),
    )


def _checked_share(subject: str, given: object, remedy: str) -> float:
    number = checked_number(given, subject)
    if not 0 <= number <= 1:
        raise MaskError(
            "prune",
            subject,
            given=f"{given!r:.60}",
            expected="a number from 0 to 1",
            remedy=remedy,
        )
    return number


def _checked_patterns(subject: str, given: object) -> tuple[Pattern, ...]:
    several = given if isinstance(given, list | tuple | set | frozenset) else [given]
    if given is None:
        return ()
    return tuple(_checked_pattern(subject, one) for one in several)


def _checked_pattern(subject: str, given: object) -> Pattern:
    if isinstance(given, str) or (isinstance(given, type) and issubclass(given, nn.Module)):
        return given
    raise MaskError(
        "choosing layers",
        subject,
        given=f"{given!r:.60}",
        expected="a name of a layer or a weight, a glob over such names, or a class of layers",
        remedy="Take names from model.named_modules(), or a class like torch.nn.Conv2d.",
    )


def _checked_most(given: object) -> Shares:
    if given is None:
        return ()
    if given == {}:
        raise _no_table("max_sparsity", given)
    table = given if isinstance(given, Mapping) else {"*": given}
    shares = []
    for pattern, share in table.items():
        number = _checked_share("max_sparsity", share, _MOST)
        shares.append((_checked_pattern("max_sparsity", pattern), number))
    return tuple(shares)


def _no_table(subject: str, given: object) -> MaskError:
    return MaskError(
        "prune",
        subject,
        given=f"{given!r}",
        expected="a number, or a table of patterns and numbers",
        remedy="Name at least one pattern: {'*': 0.5} means all layers.",
    )


def one_each(parts: int, level: Sequence[Sparsity]) -> list[Sparsity]:
    """What is asked of each of a method's parts: of all the same, where one thing is asked.

    Raises:
        MaskError: The level has another number of sparsities.

    Example:
        >>> one_each(2, [0.5]), one_each(2, [0.3, 0.9])
        ([0.5, 0.5], [0.3, 0.9])
    """
    if len(level) == 1:
        return list(level) * parts
    if len(level) != parts:
        raise MaskError(
            "prune",
            "the level",
            given=f"{len(level)} sparsities",
            expected=f"one, or one for each of the method's {parts} parts",
            remedy="Give one number, or for 'combined' one for the convolutions and one for "
            "the rest.",
        )
    return list(level)
