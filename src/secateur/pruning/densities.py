"""Densities: how much of each layer an allocation keeps, in proportion to the others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from torch import Tensor

from secateur.errors import MaskError
from secateur.pruning.criterion import Statistics
from secateur.pruning.usage import WeightKind
from secateur.pruning.weights import Weight


@dataclass(frozen=True)
class LayerShape:
    """A layer, as an allocation sees it.

    Attributes:
        name: Of its weight.
        shape: Of its weight.
        kind: `conv` or `linear`.
        module: The name of the module that owns the weight.
        first: Whether its weight is the first prunable one of the network, in the order of the
            modules, whatever takes part in the cut.
        last: Whether it is the last one.
        weight: Its values; None where only shapes are known.
    """

    name: str
    shape: tuple[int, ...]
    kind: WeightKind = "linear"
    module: str = ""
    first: bool = False
    last: bool = False
    weight: Tensor | None = None

    @property
    def values(self) -> Tensor:
        """The weight.

        Raises:
            MaskError: Only its shape is known.
        """
        if self.weight is None:
            raise MaskError(
                "allocating",
                self.name,
                given="a shape alone",
                expected="a layer of a network, whose weights the allocation looks at",
                remedy="Prune a network, or choose 'uniform' or 'erk', which go by shapes.",
            )
        return self.weight.detach()


@dataclass(frozen=True)
class Density:
    """What an allocation says of one layer.

    Attributes:
        proportion: The share of its weights that stays, in proportion to the other layers': all
            are multiplied by the one factor at which the total is right. Above 0.
        least: The share of its weights that stays in any case, from 0 to 1.
    """

    proportion: Fraction | float
    least: Fraction | float = 0


class Densities(Protocol):
    """An allocation: a pure function from the layers of a cut to a density for each.

    What it needs beside them it says by `secateur.pruning.criterion.needs`, as a criterion does.
    """

    def __call__(
        self, layers: Sequence[LayerShape], density: Fraction, statistics: Statistics, /
    ) -> Sequence[Density]:
        """One density a layer; `density` is the share of all their weights that is to stay."""
        ...


def layer_shapes(weights: Mapping[str, Weight]) -> dict[str, LayerShape]:
    """The layers of a network by the names of their weights.

    Args:
        weights: All its prunable weights, in the order of the modules.
    """
    return {
        name: LayerShape(
            name,
            tuple((value := weight.value).shape),
            weight.kind,
            weight.module,
            first=number == 0,
            last=number == len(weights) - 1,
            weight=value,
        )
        for number, (name, weight) in enumerate(weights.items())
    }


def checked_densities(
    name: str, layers: Sequence[LayerShape], found: Sequence[Density]
) -> list[tuple[Fraction, Fraction]]:
    """The proportion and the least share of each layer, exactly: 0.2 is a fifth.

    Args:
        name: The allocation's, for messages.
        layers: What it was asked about.
        found: What it said.

    Raises:
        MaskError: It said nothing of a layer, or something that is no share.
    """
    if len(found) != len(layers):
        raise _no_density(name, f"{len(found)} densities of {len(layers)} layers")
    for layer, one in zip(layers, found, strict=True):
        if not (math.isfinite(one.proportion) and one.proportion > 0 and 0 <= one.least <= 1):
            raise _no_density(name, f"{one.proportion} and {one.least} for {layer.name}")
    return [(Fraction(str(one.proportion)), Fraction(str(one.least))) for one in found]


def _no_density(name: str, given: str) -> MaskError:
    return MaskError(
        "allocating",
        f"the densities of {name!r}",
        given=given,
        expected="for each layer a proportion above 0 and a least share from 0 to 1",
        remedy="Mend the allocation, or choose another one.",
    )
