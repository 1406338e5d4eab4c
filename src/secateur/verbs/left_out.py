"""Left out: a cut that does less than one may think says so."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from torch import nn

from secateur.foundation.granularity import WEIGHT, n_of_m
from secateur.pruning.chosen_layers import ChosenLayers, Pool
from secateur.pruning.layers import Layers, Sparsity, one_each
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part, is_structured
from secateur.pruning.weights import Found, Weight, in_scope

# A method whose scope is less than this share of the weights does little to the whole.
_SMALL = Fraction(1, 10)
_NAMED = 3


class CutWarning(UserWarning):
    """A cut does less than one may think: it removes nothing, or leaves most weights out."""


def warn_of_what_is_left_out(
    model: nn.Module,
    found: Found,
    masks: Masks,
    parts: Sequence[Part],
    level: Sequence[Sparsity],
    layers: Layers,
) -> None:
    """Warn where a cut that was made for `secateur.prune` does less than one may think."""
    for sentence in what_is_left_out(model, found, masks, parts, level, layers):
        warnings.warn(f"prune: {sentence}", CutWarning, stacklevel=3)


def what_is_left_out(
    model: nn.Module,
    found: Found,
    masks: Masks,
    parts: Sequence[Part],
    level: Sequence[Sparsity],
    layers: Layers,
    known: Collection[str] = (),
) -> Iterator[str]:
    """What a cut leaves out that one may not expect, a sentence each.

    Args:
        model: The network.
        found: Its prunable weights.
        masks: What the cut keeps.
        parts: What was cut.
        level: What was asked of each part, or of all.
        layers: The choice of layers.
        known: As for `idle_patterns`.
    """
    counted = _elements(found.weights.values())
    unclear = sum(found.unclear.values())
    if unclear > counted:
        names = ", ".join(list(found.unclear)[:_NAMED])
        yield (
            f"{unclear} elements of {len(found.unclear)} parameters are not counted as weights "
            f"({names}, ...), more than the {counted} that are; pass example_inputs, so that a "
            "pass can show what they are, or name them by prunable"
        )
    scope = _scope(model, found.weights, parts)
    own = _elements(scope.values())
    if own < _SMALL * counted:
        yield (
            f"{own} of {counted} prunable weights are in the method's scope, less than a tenth; "
            "a sparsity is a share of those"
        )
    chosen = ChosenLayers(model, layers, [one for one in level if isinstance(one, tuple)])
    yield from idle_patterns(chosen, scope, known)
    if not is_structured(parts):
        yield from _held_back(chosen, masks, parts, level, found.weights)
    highest = max(map(_highest, level))
    if not masks.zeros and highest * own >= 1:
        yield (
            f"nothing was removed of {own} weights at a sparsity of {highest:g}: the units that "
            "may go are larger than that, or a floor, a highest sparsity or pins hold them; see "
            "masks.floored and masks.report"
        )


def idle_patterns(
    chosen: ChosenLayers, scope: Mapping[str, Weight], known: Collection[str] = ()
) -> Iterator[str]:
    """The patterns that mean nothing of a method's scope, as one sentence; none if there are none.

    Args:
        chosen: The choice of layers.
        scope: The weights that the method prunes.
        known: Patterns that nobody has written, and of which nobody is told.
    """
    idle = [one for one in chosen.idle(scope.values()) if one not in known]
    if idle:
        yield f"no weight that the method prunes is matched by {', '.join(map(repr, idle))}"


def _held_back(
    chosen: ChosenLayers,
    masks: Masks,
    parts: Sequence[Part],
    level: Sequence[Sparsity],
    weights: Mapping[str, Weight],
) -> Iterator[str]:
    """Where the highest sparsity of layers, or `n:m`, leaves less to cut than was asked for.

    A block more or less, or a few rows that `m` does not divide, are what one expects.
    """
    sparsities = one_each(len(parts), level)
    scopes = [in_scope(weights, part.scope, "the network") for part in parts]
    for part, pools in zip(parts, chosen.pools_of(scopes, sparsities), strict=True):
        pattern = n_of_m(part.granularity)
        for pool in pools if pattern or chosen.layers.max_sparsity else ():
            gone = {name: int((~masks[name]).sum()) for name in pool.weights}
            lost, asked = sum(gone.values()), _asked(pool)
            if lost >= (asked if part.granularity == WEIGHT else asked * (1 - _SMALL)):
                continue
            why = "max_sparsity allows no more"
            if pattern:
                held = [name for name in gone if gone[name] < _asked(pool, name)]
                why = f"too few inputs, or max_sparsity, hold back {', '.join(held[:_NAMED])}"
            yield (
                f"{lost} of {pool.total} weights were removed and not {asked}, as a sparsity of "
                f"{pool.sparsity:g} asks for: {why}"
            )


def _asked(pool: Pool, name: str = "") -> int:
    """How many weights are to go, of all of a pool or of one."""
    total = pool.weights[name].value.numel() if name else pool.total
    return math.floor(Fraction(repr(float(pool.sparsity))) * total)


def _scope(
    model: nn.Module, weights: Mapping[str, Weight], parts: Sequence[Part]
) -> dict[str, Weight]:
    """The weights that a method prunes."""
    found: dict[str, Weight] = {}
    for part in parts:
        found |= in_scope(weights, part.scope, type(model).__name__)
    return found


def _elements(weights: Iterable[Weight]) -> int:
    return sum(weight.value.numel() for weight in weights)


def _highest(sparsity: Sparsity) -> float:
    return max(share for _, share in sparsity) if isinstance(sparsity, tuple) else sparsity
