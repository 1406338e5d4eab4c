"""Chosen layers: a choice of layers, looked up in a network's weights and groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.level import ENDS
from secateur.pruning.groups import Groups, Slot
from secateur.pruning.layers import Layers, Shares, Sparsity
from secateur.pruning.patterns import Pattern, PatternIndex
from secateur.pruning.pinned import Pinned
from secateur.pruning.weights import Weight, prunable_weights

_NAMED = 3


@dataclass(frozen=True)
class Pool:
    """Weights that are ranked together, or layer by layer, at one sparsity.

    Attributes:
        weights: By name.
        sparsity: The share of them that is to go.
    """

    weights: Mapping[str, Weight]
    sparsity: float

    @property
    def total(self) -> int:
        """How many elements they have: what the sparsity is a share of."""
        return sum(weight.value.numel() for weight in self.weights.values())


class ChosenLayers:
    """A choice of layers, looked up in a network.

    Args:
        model: The network.
        layers: The choice.
        tables: Tables of sparsities that go with it.

    Attributes:
        layers: The choice.

    Raises:
        MaskError: A pattern matches nothing, or nothing that an earlier one of its table leaves.
    """

    def __init__(self, model: nn.Module, layers: Layers, tables: Iterable[Shares] = ()) -> None:
        self.layers = layers
        self._model = model
        self._index = PatternIndex(model)
        self._excluded = self._any("exclude", layers.exclude)
        self._only = self._any("only", layers.only)
        self._tables = {table: self._rows("sparsity", table) for table in tables}
        self._most = self._rows("max_sparsity", layers.max_sparsity)
        self._parameters = dict(model.named_parameters(remove_duplicate=False))

    @property
    def excluded(self) -> dict[str, nn.Parameter]:
        """The parameters that keep every element, by name."""
        parameters = self._parameters.items()
        return {name: one for name, one in parameters if id(one) in self._excluded}

    def takes(self, weight: Weight) -> bool:
        """Whether a weight takes part, whatever it may lose."""
        own = _ids(weight)
        return not own & self._excluded and (not self.layers.only or bool(own & self._only))

    def most(self, weight: Weight) -> float:
        """The highest share of a weight that may go; 1 where nothing says so."""
        row = _row(self._most, weight)
        return 1.0 if row is None else self.layers.max_sparsity[row][1]

    def pools(self, weights: Mapping[str, Weight], sparsity: Sparsity) -> list[Pool]:
        """The weights of a part that may lose something, by the sparsity that is asked of them."""
        taken = {name: weight for name, weight in weights.items() if self.takes(weight)}
        if not isinstance(sparsity, tuple):
            return [Pool(taken, sparsity)] if taken else []
        rows: list[dict[str, Weight]] = [{} for _ in sparsity]
        for name, weight in taken.items():
            row = _row(self._tables[sparsity], weight)
            if row is not None:
                rows[row][name] = weight
        pairs = zip(rows, sparsity, strict=True)
        return [Pool(row, share) for row, (_, share) in pairs if row]

    def pools_of(
        self, scopes: Sequence[Mapping[str, Weight]], sparsities: Sequence[Sparsity]
    ) -> list[list[Pool]]:
        """The pools of each part of a method.

        Args:
            scopes: The weights of each part's scope.
            sparsities: What is asked of each.

        Raises:
            MaskError: Nothing is left to prune.
        """
        found = [self.pools(*pair) for pair in zip(scopes, sparsities, strict=True)]
        if any(found):
            return found
        raise MaskError(
            "choosing layers",
            "the choice",
            given="one that leaves nothing of what the method prunes",
            expected=f"one of {', '.join(list(_names(scopes))[:_NAMED])}, ... in it",
            remedy="Name fewer layers in exclude, or more in only and in a table of sparsities.",
        )

    def check(self, weights: Mapping[str, Weight]) -> None:
        """Refuse a pattern that means no prunable weight where it can mean nothing else.

        Args:
            weights: All prunable weights of the network.

        Raises:
            MaskError: One does.
        """
        prunable = frozenset[int]().union(*map(_ids, weights.values()))
        for subject, pattern in self._of_weights():
            if not self._find(pattern) & prunable:
                raise self._index.refused(subject, pattern, "matches no prunable weight")

    def idle(self, weights: Iterable[Weight]) -> list[str]:
        """The patterns that mean none of some weights, in words: those of a method's scopes."""
        own = frozenset[int]().union(*map(_ids, weights))
        return [
            pattern if isinstance(pattern, str) else pattern.__name__
            for _, pattern in self._of_weights()
            if not self._find(pattern) & own
        ]

    def _of_weights(self) -> list[tuple[str, Pattern]]:
        named = [("only", pattern) for pattern in self.layers.only]
        named += [("max_sparsity", pattern) for pattern, _ in self.layers.max_sparsity]
        return named + [("sparsity", pattern) for table in self._tables for pattern, _ in table]

    def free(
        self, groups: Groups, weights: Mapping[str, Weight], sparsity: Sparsity
    ) -> tuple[Groups, tuple[Pinned, ...]]:
        """The groups that may be cut: none that an excluded layer has, or another one computes.

        Args:
            groups: The units of a part.
            weights: All prunable weights of the network.
            sparsity: What is asked of the part.

        Returns:
            The groups, those that stay taken out of every slot, and what keeps them.
        """
        held = torch.zeros(groups.count, dtype=torch.bool)
        pins: list[Pinned] = []
        owners = {name: one for one in weights.values() for name in one.ingredients}
        for slot in groups.slots:
            why = self._keeper(slot, owners.get(slot.parameter), sparsity)
            if why:
                own = torch.zeros_like(held).index_fill_(0, slot.groups[slot.groups >= 0], True)
                more = int((own & ~held).sum())
                held |= own
                if more:
                    pins.append(Pinned(why, slot.parameter.rpartition(".")[0], more))
        return _without(groups, held) if pins else groups, tuple(pins)

    def _keeper(self, slot: Slot, weight: Weight | None, sparsity: Sparsity) -> str:
        """What keeps a slot's channels, in words; empty if nothing does."""
        if id(self._parameters.get(slot.parameter)) in self._excluded:
            return "left out by exclude"
        if slot.role != "write" or weight is None:
            return ""
        if not self.takes(weight):
            return "left out by only"
        if isinstance(sparsity, tuple) and _row(self._tables[sparsity], weight) is None:
            return "without a sparsity of its own"
        return ""

    def _find(self, pattern: Pattern) -> frozenset[int]:
        if pattern not in ENDS:
            return self._index.find(pattern)
        end = list(prunable_weights(self._model).values())[ENDS[str(pattern)]]
        return self._index.find(end.module) | _ids(end)

    def _any(self, subject: str, patterns: Sequence[Pattern]) -> frozenset[int]:
        found = [self._find(pattern) for pattern in patterns]
        for pattern, numbers in zip(patterns, found, strict=True):
            if not numbers:
                raise self._index.refused(subject, pattern)
        return frozenset[int]().union(*found)

    def _rows(self, subject: str, table: Shares) -> dict[int, int]:
        """Id of a parameter -> the row of a table whose pattern matches it first."""
        rows: dict[int, int] = {}
        for row, (pattern, _) in enumerate(table):
            numbers = self._any(subject, [pattern])
            if numbers <= rows.keys():
                raise self._index.refused(
                    subject,
                    pattern,
                    "matches only what a pattern before it matches",
                    "Put it first: the first pattern that matches a layer counts.",
                )
            for number in numbers:
                rows.setdefault(number, row)
        return rows


def _names(scopes: Sequence[Mapping[str, Weight]]) -> dict[str, Weight]:
    return {name: weight for scope in scopes for name, weight in scope.items()}


def _ids(weight: Weight) -> frozenset[int]:
    made_of = () if weight.computed is None else weight.computed.ingredients.values()
    return frozenset((id(weight.parameter), *map(id, made_of)))


def _row(rows: Mapping[int, int], weight: Weight) -> int | None:
    return min((rows[number] for number in _ids(weight) if number in rows), default=None)


def _without(groups: Groups, held: Tensor) -> Groups:
    slots = []
    for slot in groups.slots:
        stays = held[slot.groups.clamp(min=0)] & (slot.groups >= 0)
        slots.append(replace(slot, groups=slot.groups.masked_fill(stays, -1)))
    return replace(groups, slots=tuple(slots))
