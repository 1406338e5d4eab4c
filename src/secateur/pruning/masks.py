"""Masks: which elements of which parameters are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.html import Cell, table
from secateur.point import Reached
from secateur.pruning.freeze import Freeze
from secateur.pruning.mask_bits import packed, unpacked
from secateur.pruning.naming import masked_parameters, without_ranks
from secateur.pruning.pinned import Pinned, Report
from secateur.pruning.removed import Removed, to_be_removed
from secateur.pruning.sharded import local, local_part
from secateur.pruning.weights import Tied, prunable_weights


class Masks(Mapping[str, Tensor]):
    """A map from parameter names to bool tensors that do not change; True = kept.

    The masks remember the model that they were last applied to, for `freeze`.

    A parameter without a mask is kept whole.

    Args:
        masks: State-dict name -> bool tensor of the parameter's shape.
        floored: Layers in which the floor kept units that the ranking would have cut.

    Attributes:
        report: Which channels could not be cut, and why, where they were traced.
        reached: Where a target was asked for: the sparsity found, and what the net costs.
        traced: The trace that the masks were made with; `compact` takes it up. Never pickled.
        removed: What `apply` has zeroed last, for `secateur.repair`; until `freeze`. Never pickled;
            None gives its memory back.
        rewritten: Name -> new values of a parameter whose kept elements change with the cut, as
            reconstruction has them; the next `apply` writes them, once.

    Raises:
        MaskError: A mask is not a bool tensor.

    Example:
        >>> masks = Masks({"weight": torch.tensor([[True, False], [True, True]])})
        >>> masks.zeros, masks.total
        (1, 4)
    """

    rewritten: Mapping[str, Tensor] = MappingProxyType({})

    def __init__(self, masks: Mapping[str, Tensor], floored: tuple[str, ...] = ()) -> None:
        given: Mapping[Any, Any] = masks
        for name, mask in given.items():
            if not isinstance(name, str):
                raise MaskError(
                    "building masks",
                    f"the name {name!r:.60}",
                    given=f"a {type(name).__name__}",
                    expected="a parameter's state-dict name",
                    remedy="Take the names from model.named_parameters().",
                )
            if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
                raise MaskError(
                    "building masks",
                    name,
                    given=f"a tensor of {mask.dtype}"
                    if isinstance(mask, Tensor)
                    else f"a {type(mask).__name__}",
                    expected="torch.bool, True where the element is kept",
                    remedy="Compare first: `weight != 0` makes such a mask.",
                )
        self._masks = {name: mask.detach().clone() for name, mask in masks.items()}
        self._model: nn.Module | None = None
        self.removed: Removed | None = None
        self.floored = floored
        self.report = Report()
        self.reached: Reached | None = None
        self.traced: Any = None

    def __getitem__(self, name: str) -> Tensor:
        return self._masks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __eq__(self, other: object) -> bool:
        """Same names and the same bits."""
        if not isinstance(other, Masks):
            return NotImplemented
        return self.keys() == other.keys() and all(torch.equal(self[k], other[k]) for k in self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Masks({len(self)} parameters, {self.zeros} of {self.total} elements pruned)"

    def _repr_html_(self) -> str:
        rows = [(name, mask.shape, int(mask.sum()), mask.numel()) for name, mask in self.items()]
        cells: list[list[Cell]] = [
            [name, "x".join(map(str, shape)), kept, total, 1 - kept / max(total, 1)]
            for name, shape, kept, total in rows
        ]
        share = self.zeros / max(self.total, 1)
        cells.append(["all", "", self.total - self.zeros, self.total, share])
        return table(["parameter", "shape", "kept", "total", "pruned"], cells, bold=[len(rows)])

    @property
    def total(self) -> int:
        """How many elements the masks cover."""
        return sum(mask.numel() for mask in self.values())

    @property
    def zeros(self) -> int:
        """How many elements are pruned."""
        return sum(mask.numel() - int(mask.count_nonzero()) for mask in self.values())

    def is_within(self, other: Masks) -> bool:
        """Whether everything kept here is kept in `other` too (nested masks)."""
        return all(
            name in self and bool((self[name] <= mask.to(self[name].device)).all())
            for name, mask in other.items()
        )

    def merged(self, other: Masks) -> Masks:
        """The masks that keep what both keep."""
        both = dict(self)
        for name, mask in other.items():
            both[name] = both[name] & mask.to(both[name].device) if name in both else mask
        made = Masks(both, tuple(dict.fromkeys((*self.floored, *other.floored))))
        made.rewritten = {**self.rewritten, **other.rewritten}
        return made

    def apply(self, model: nn.Module) -> Masks:
        """Write +0 into every pruned element of `model`, and remember the model for `freeze`.

        Where the masks know new values of kept elements, those are written, too, the first time.

        Returns:
            These masks.

        Raises:
            MaskError: A name or a shape is not the model's.
        """
        removed = to_be_removed(self, model, self.rewritten)
        self._rewrite(model)
        self.clear(model)
        if removed is not None:
            with suppress(RuntimeError):  # a parameter whose bits cannot be read
                removed.seal(model)
                self.removed = removed
        self._model = model
        return self

    def _rewrite(self, model: nn.Module) -> None:
        """Write the new values; once, for what is trained afterwards is newer."""
        parameters = self.parameters_of(model)
        with torch.no_grad():
            for name, values in self.rewritten.items():
                local(parameters[name]).copy_(local_part(values, parameters[name], name))
        self.rewritten = {}

    def clear(self, model: nn.Module) -> None:
        """Write +0 into every pruned element of `model`, and remember nothing.

        Raises:
            MaskError: A name or a shape is not the model's.
        """
        with torch.no_grad():
            for name, parameter in self.parameters_of(model).items():
                gone = ~local_part(self[name], parameter, name)
                local(parameter).masked_fill_(gone.to(parameter.device), 0.0)

    def parameters_of(self, model: nn.Module) -> dict[str, nn.Parameter]:
        """The model's parameters that have a mask, checked for name and shape.

        Raises:
            MaskError: A name or a shape is not the model's.
        """
        return masked_parameters(self, model)

    def freeze(self, optimizer: Any, model: nn.Module | None = None) -> Freeze:
        """Hold the pruned elements at exactly zero through every step of `optimizer`.

        See `secateur.pruning.freeze.Freeze`. The model is the one that the masks were last
        applied to, unless another is given. The optimizer may be wrapped, as training libraries
        hand it out. A later freeze of the same parameters takes the place of an earlier one.

        Raises:
            MaskError: The masks were never applied and no model is given.
        """
        target = self._model if model is None else model
        if target is None:
            raise MaskError(
                "freezing masks",
                "the model",
                given="unknown",
                expected="the network whose pruned weights are held",
                remedy="Call masks.apply(model) first, or pass model=.",
            )
        self.removed = None  # what is trained is no longer what was cut
        return Freeze(self, target, optimizer)

    @classmethod
    def of(cls, model: nn.Module, *, example_inputs: Any = None, tied: Tied = "keep") -> Masks:
        """The masks of a network that was pruned before: False where a prunable weight is zero.

        Biases and norms are no weights, so zeros that they start with go on training.

        Args:
            model: A network with zeros, as `load` or `load_state_dict` gave it.
            example_inputs: A batch that the model accepts, where layers of one's own have
                parameters whose names do not tell what they are; as for `prune`.
            tied: `keep`, or `prune`: a matrix that an embedding shares is a weight.

        Returns:
            The masks, applied: `masks.freeze(optimizer)` goes on from here.

        Raises:
            ModelError: The network has no prunable weight.

        Example:
            >>> net = nn.Linear(2, 1)
            >>> _ = nn.init.zeros_(net.weight[:, 0].data), nn.init.zeros_(net.bias)
            >>> Masks.of(net)["weight"].tolist(), len(Masks.of(net))
            ([[False, True]], 1)
        """
        model = without_ranks(model)
        weights = prunable_weights(model, example_inputs=example_inputs, tied=tied)
        return cls(
            {name: weight.value != 0 for name, weight in weights.items() if weight.maskable}
        ).apply(model)

    def state_dict(self) -> dict[str, Tensor]:
        """Plain tensors, which `torch.save` writes and `torch.load(weights_only=True)` reads.

        `Masks(state)` makes masks of them again.
        """
        return {name: mask.clone() for name, mask in self._masks.items()}

    def to_text(self) -> str:
        """The masks as text, one bit an element, for a file's metadata."""
        held = {
            name: [list(mask.shape), packed(mask)] for name, mask in sorted(self._masks.items())
        }
        return json.dumps({"masks": held, "floored": list(self.floored)})

    @classmethod
    def from_text(cls, text: str) -> Masks:
        """The inverse of `to_text`."""
        held = json.loads(text)
        masks = {name: unpacked(bits, shape) for name, (shape, bits) in held["masks"].items()}
        return cls(masks, tuple(held["floored"]))

    def __getstate__(self) -> dict[str, object]:
        """Copies and pickles hold the masks, never the model they were applied to."""
        held = {"_masks": self._masks, "floored": self.floored, "report": self.report}
        held["rewritten"] = dict(self.rewritten)
        gone = {"_model": None, "traced": None, "removed": None}
        return {**held, **gone, "reached": self.reached}


def checked_masks(masks: object, subject: str) -> Masks:
    """Return masks as `Masks`; a plain map from names to bool tensors will do.

    Raises:
        MaskError: They are neither.
    """
    if isinstance(masks, Masks):
        return masks
    if isinstance(masks, Mapping):
        return Masks(masks)
    raise MaskError(
        "prune",
        subject,
        given=f"a {type(masks).__name__}",
        expected="masks, as prune returns them",
        remedy="Pass the masks of the cut before, or a dict of names to bool tensors.",
    )


# A file with masks in it is read by torch.load(weights_only=True): they are tensors and words.
torch.serialization.add_safe_globals([Masks, Report, Pinned, Reached])
