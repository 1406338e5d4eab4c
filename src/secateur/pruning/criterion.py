"""What a criterion is, what it may need beside the weights, and how that reaches it.

A criterion says what it needs (`@needs("squared-gradients")`); a collector of that name in
`registry.COLLECTORS` gathers it once for a cut, on training data; the criterion reads it from
`statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from torch import Tensor

from secateur.errors import MaskError

SCALES = "norm-scales"
"""The scale of the batch norm behind each filter; sparsity training or the network gives it."""
INITIAL = "initial-weights"
"""The weights that the network had before it was trained."""
MOMENTS = "input-moments"
"""The mean products of each two of the inputs that the weights of an output multiply."""
RESIDUALS = "input-residuals"
"""What is left of each input's moment; reconstruction makes it of the moments."""
SCORES = "scores"
"""Scores that the caller gives: of each weight, or of each unit."""


@dataclass(frozen=True)
class Statistics:
    """What is known beside the weights; gathered once, by whoever needs it.

    Attributes:
        scales: Weight name -> the scale of the batch norm behind each filter, shape `[filters]`.
        seed: For criteria that draw.
        gathered: Need -> weight name -> what was gathered: of the weight's shape, or one number
            for each of its outputs.
        options: The method's own options, for criteria that take some.
    """

    scales: Mapping[str, Tensor] = field(default_factory=dict)
    seed: int = 0
    gathered: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def has(self, need: str) -> bool:
        """Whether something was gathered under this name."""
        return bool(self.scales) if need == SCALES else bool(self.gathered.get(need))

    def of(self, need: str, parameter: str) -> Tensor:
        """What was gathered for one weight, row by row as the criterion got the weight.

        Raises:
            MaskError: Nothing was.

        Example:
            >>> import torch
            >>> known = Statistics(gathered={"gradients": {"w": torch.ones(2, 1)}})
            >>> known.of("gradients", "w").shape
            torch.Size([2, 1])
        """
        source = self.scales if need == SCALES else self.gathered.get(need, {})
        if parameter not in source:
            raise MaskError(
                "scoring",
                parameter,
                given=f"a weight without {need}",
                expected="what its criterion needs, gathered for every weight of the scope",
                remedy="Leave the layer out by a scope or by exclude, or choose a criterion that "
                "needs none.",
            )
        return source[parameter]

    def of_each(self, need: str, parameter: str, rows: Tensor) -> Tensor:
        """What was gathered for one weight, where it is one number for each of its units.

        Args:
            need: What is asked for.
            parameter: The weight's name.
            rows: The units, shape `[units, weights per unit]`.

        Returns:
            Shape `[units]`, float64.

        Raises:
            MaskError: Nothing was, or another count: what computes the units is not the layer
                whose outputs were seen.

        Example:
            >>> import torch
            >>> known = Statistics(gathered={"apoz": {"w": torch.tensor([0.5, 1.0])}})
            >>> known.of_each("apoz", "w", torch.zeros(2, 9)).tolist()
            [0.5, 1.0]
        """
        found = self.of(need, parameter)
        if found.numel() != rows.shape[0]:
            raise MaskError(
                "scoring",
                parameter,
                given=f"{found.numel()} {need}",
                expected=f"one for each of its {rows.shape[0]} units",
                remedy="Leave the layer out by exclude, or choose a criterion of the weights.",
            )
        return found.to(rows.device).reshape(-1).double()

    def in_rows(self, parameter: str, weight: Tensor, arrange: Callable[[Tensor], Tensor]) -> Any:
        """The same, with what is of the weight's shape arranged as the weight is for a criterion.

        Args:
            parameter: The weight's name.
            weight: The weight.
            arrange: Makes `[units, weights per unit]` of it.
        """
        rows = {
            need: {parameter: arrange(table[parameter].to(weight.device))}
            if parameter in table and table[parameter].shape == weight.shape
            else table
            for need, table in self.gathered.items()
        }
        return replace(self, gathered=rows)


class Criterion(Protocol):
    """A pure function from units of one weight to one score a unit; higher = keep.

    The granularity decides what a unit is: with `weight` and `n:m` the rows hold one weight each,
    with blocks and `kernel` those of a block (zeros where the last one is smaller), with `filter`
    and `channel` the weights that compute one channel. The model is never touched.
    """

    def __call__(self, parameter: str, rows: Tensor, statistics: Statistics, /) -> Tensor:
        """Score `rows`, shape `[units, weights per unit]`, as shape `[units]`."""
        ...


_Criterion = TypeVar("_Criterion", bound=Criterion)


def needs(*names: str) -> Callable[[_Criterion], _Criterion]:
    """Say what a criterion reads from its statistics.

    Args:
        names: Names in `registry.COLLECTORS`, `norm-scales`, `initial-weights` or `scores`.

    Example:
        >>> @needs("gradients")
        ... def slope(parameter, rows, statistics):
        ...     return statistics.of("gradients", parameter).abs().sum(1)
        >>> needs_of([slope])
        ('gradients',)
    """

    def mark(criterion: _Criterion) -> _Criterion:
        criterion.needs = names  # type: ignore[attr-defined]
        return criterion

    return mark


def needs_of(criteria: Iterable[Criterion]) -> tuple[str, ...]:
    """Everything that some criteria need, each once."""
    found = (name for one in criteria for name in getattr(one, "needs", ()))
    return tuple(dict.fromkeys(found))


def reconstructing(criterion: _Criterion) -> _Criterion:
    """Say that the weights that are left make up for those that go by a criterion.

    Then a layer is cut block of columns by block of columns, each scored as it is by then; see
    `secateur.pruning.reconstruction`. It needs `input-moments`, and is for single weights, layer
    by layer.

    Example:
        >>> @reconstructing
        ... @needs("input-moments")
        ... def least(parameter, rows, statistics):
        ...     return rows.abs().sum(1)
        >>> reconstructs(least)
        True
    """
    criterion.reconstructs = True  # type: ignore[attr-defined]
    return criterion


def reconstructs(criterion: Criterion) -> bool:
    """Whether the weights that are left make up for those that go; see `reconstructing`."""
    return bool(getattr(criterion, "reconstructs", False))


def of_channels(criterion: _Criterion) -> _Criterion:
    """Say that a criterion means nothing for single weights: it scores filters and channels.

    Example:
        >>> @of_channels
        ... def width(parameter, rows, statistics):
        ...     return rows.std(1)
        >>> scores_channels_only(width)
        True
    """
    criterion.channels_only = True  # type: ignore[attr-defined]
    return criterion


def everywhere(criterion: _Criterion) -> _Criterion:
    """Say that a criterion of channels scores every place of a channel, not only what computes it.

    It then gets the rows of biases, norms and of the layers that read the channel too.

    Example:
        >>> @everywhere
        ... def size(parameter, rows, statistics):
        ...     return rows.square().sum(1)
        >>> scores_everywhere(size)
        True
    """
    criterion.everywhere = True  # type: ignore[attr-defined]
    return criterion


def scores_everywhere(criterion: Criterion) -> bool:
    """Whether a criterion scores every place of a channel; see `everywhere`."""
    return bool(getattr(criterion, "everywhere", False))


def scores_channels_only(criterion: Criterion) -> bool:
    """Whether a criterion means nothing for single weights; see `of_channels`."""
    return bool(getattr(criterion, "channels_only", False))


def scored(criterion: Criterion, name: str, rows: Tensor, known: Statistics) -> Tensor:
    """A criterion's scores of the units of one weight, one each.

    Raises:
        MaskError: It gives something else, or a score that is no number.
    """
    scores: object = criterion(name, rows, known)
    count = rows.shape[0]
    if isinstance(scores, Tensor) and tuple(scores.shape) == (count,) and not scores.is_complex():
        bad = int(scores.isnan().sum())
        if not bad:
            return scores
        given = f"scored NaN in {bad} of {count} units"
        expected = "a number for each unit"
        remedy = "Look for a division by zero, a root or a logarithm in it, or in what it reads."
    else:
        given = f"scored as {_told(scores)}"
        expected = f"a tensor of {count} scores, one a unit: shape ({count},)"
        remedy = _REMEDIES.get(type(scores).__module__, _REMEDY)
    raise MaskError(
        f"scoring by {getattr(criterion, '__name__', 'a criterion')}",
        name,
        given=given,
        expected=expected,
        remedy=remedy,
    )


_REMEDY = (
    "Mend the criterion, or the scores that it was given: one for each row of `rows`, as "
    "rows.abs().sum(1) gives them."
)
_REMEDIES = {
    "numpy": "Return torch.from_numpy(...), or calculate with torch.",
}


def _told(scores: object) -> str:
    """What came instead of scores, in words."""
    if scores is None:
        return "None (does it end in a `return`?)"
    if isinstance(scores, Tensor):
        kind = f"{scores.dtype} " if scores.is_complex() else ""
        return f"a {kind}tensor of shape {tuple(scores.shape)}"
    module, name = type(scores).__module__, type(scores).__name__
    package = "" if module == "builtins" else f"{module.partition('.')[0]}."
    shape = getattr(scores, "shape", None)
    return f"a {package}{name}" + (f" of shape {tuple(shape)}" if shape else "")
