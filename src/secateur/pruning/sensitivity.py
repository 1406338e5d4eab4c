"""Sensitivity: how much a network loses when one of its layers is cut alone, without retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from secateur.errors import MaskError
from secateur.point import Score, Share


@dataclass(frozen=True)
class LayerCut:
    """One layer, cut alone.

    Attributes:
        layer: The name of its weight; for channels, of the layer that computes them first.
        together: Names of the weights that are cut with it, its own first: those that share its
            channels.
        sparsity: The share that was asked for.
        zeros: Zeros in those weights, of all their elements.
        score: Of the network with this layer cut, on validation data.
    """

    layer: str
    together: tuple[str, ...]
    sparsity: float
    zeros: Share
    score: Score


@dataclass(frozen=True)
class Sensitivity:
    """What cutting each layer alone does to a network.

    Attributes:
        method: The method's name.
        score: Of the network as it is.
        cuts: Layer by layer in the order of the network, each at every level.
        total: How many prunable weights the network has.
    """

    method: str
    score: Score
    cuts: tuple[LayerCut, ...]
    total: int

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers, in the order of the network."""
        return tuple(dict.fromkeys(cut.layer for cut in self.cuts))

    @property
    def levels(self) -> tuple[float, ...]:
        """The sparsities that were tried."""
        return tuple(sorted({cut.sparsity for cut in self.cuts}))

    def of(self, layer: str) -> tuple[LayerCut, ...]:
        """The cuts of one layer, from the lowest sparsity up."""
        own = (cut for cut in self.cuts if cut.layer == layer)
        return tuple(sorted(own, key=lambda cut: cut.sparsity))

    def loss(self, cut: LayerCut) -> Fraction:
        """By how much a cut makes the score worse, in the score's own unit; below 0 if better."""
        lost = self.score.exact - cut.score.exact
        return lost if self.score.higher else -lost

    def to_sparsities(
        self, *, within: float | None = None, total: float | None = None
    ) -> dict[str, float]:
        """A sparsity for each layer, to be pruned with or to stand as a level of a study.

        Each layer gets the highest sparsity that was tried up to which, cut alone, it never made
        the score worse by more than a tolerance. Layers cut together may lose more than each does
        alone: this is a place to start from.

        Args:
            within: The tolerance, in the score's unit: 0.01 is one point of accuracy.
            total: Instead of it, the share of all prunable weights that is to go: the least
                tolerance with which that many do.

        Returns:
            Name of a weight -> its sparsity, above 0. What is not named stays whole.

        Raises:
            MaskError: Not one of both is given, or no layer can be cut so, or not so much.

        Example:
            >>> def of(n): return Score("accuracy", "val", n / 10, True, part=n, total=10)
            >>> cut = LayerCut("fc.weight", ("fc.weight",), 0.5, Share(5, 10), of(8))
            >>> Sensitivity("magnitude", of(9), (cut,), 10).to_sparsities(within=0.1)
            {'fc.weight': 0.5}
        """
        if (within is None) == (total is None):
            raise _refused("within and total", "both or none of them", "one of them")
        if within is not None:
            found = self._within(Fraction(repr(float(within))))
        else:
            found = self._reaching(Fraction(repr(float(total or 0))))
        if not found:
            raise _refused(
                "the tolerance",
                f"{within:g}" if within is not None else "none with a total of 0",
                f"at least {self._least():g}, with which one layer may be cut",
            )
        return found

    def _reaching(self, total: Fraction) -> dict[str, float]:
        """The sparsities of the least tolerance by which a share of all weights goes."""
        for tolerance in sorted({self.loss(cut) for cut in self.cuts}):
            found = self._within(tolerance)
            if self._zeros(found) >= total * self.total:
                return found
        most = self._zeros(self._within(max(map(self.loss, self.cuts))))
        raise _refused(
            "total", f"{float(total):g}", f"at most {most / self.total:g} at these levels"
        )

    def _within(self, tolerance: Fraction) -> dict[str, float]:
        found: dict[str, float] = {}
        for layer in self.layers:
            highest = 0.0
            for cut in self.of(layer):
                if self.loss(cut) > tolerance:
                    break
                highest = cut.sparsity
            for name in self.of(layer)[0].together if highest else ():
                found[name] = min(highest, found.get(name, highest))
        return found

    def _zeros(self, sparsities: Mapping[str, float]) -> int:
        """Zeros of all layers at some sparsities, as they were counted in each alone."""
        return sum(
            max((cut.zeros.part for cut in self.of(layer) if cut.sparsity <= share), default=0)
            for layer in self.layers
            for share in [sparsities.get(self.of(layer)[0].together[0], 0.0)]
        )

    def _least(self) -> float:
        return float(min(self.loss(self.of(layer)[0]) for layer in self.layers))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **asdict(self),
            "cuts": [{**asdict(cut), "loss": float(self.loss(cut))} for cut in self.cuts],
        }


def checked_layer_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Levels of single layers: numbers above 0 and below 1, each once, from the lowest up.

    Raises:
        MaskError: They are none.

    Example:
        >>> checked_layer_levels([0.9, 0.5])
        (0.5, 0.9)
    """
    from secateur.pruning.request import checked_sparsity  # it loads torch

    found = sorted({checked_sparsity(level, "measuring sensitivity") for level in levels})
    if not found or found[0] == 0:
        raise _refused("levels", f"{list(levels)!r:.60}", "numbers above 0 and below 1")
    return tuple(found)


def _refused(subject: str, given: str, expected: str) -> MaskError:
    return MaskError(
        "measuring sensitivity",
        subject,
        given=given,
        expected=expected,
        remedy="See the table of the sensitivity for what each layer loses.",
    )
