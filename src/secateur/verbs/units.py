"""Units: what the parts of a method cut, of one network that is traced at most once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from torch import nn

from secateur.channels import Trace, dry_run, trace
from secateur.channels.branches.branches import Branches, find_branches
from secateur.channels.labels.constraints import Pin
from secateur.channels.tracing.zero_check import MAY_BE_NONZERO
from secateur.errors import ChannelError
from secateur.foundation.granularity import BRANCH, HEAD
from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.filters import filters
from secateur.pruning.groups import Groups
from secateur.pruning.layers import ALL_LAYERS, Layers
from secateur.pruning.masks import Masks
from secateur.pruning.method import Part
from secateur.pruning.pinned import Report
from secateur.pruning.select import GroupsOf

ROUNDS = 6


def select_channels(
    model: nn.Module,
    example_inputs: Any,
    select: Callable[[GroupsOf], Masks],
    layers: Layers = ALL_LAYERS,
) -> Masks:
    """Select channels whose cut has been tried in a dry run: it is the same function, and runs.

    Args:
        model: The network; it is not touched.
        example_inputs: A batch that it accepts.
        select: Gives masks for the units of each part.
        layers: The choice of layers that it goes by.

    Returns:
        The masks, with the trace that they were made with.

    Raises:
        ChannelError: Nothing of the network can be cut.
    """
    units = _Units(model, example_inputs, layers)
    for last in (*[False] * (ROUNDS - 1), True):
        masks = select(units.of)
        if units.traced is None:
            break
        tried = dry_run(model, masks, example_inputs, units.traced)
        if not tried.held:
            break
        units.hold(tried.held)
        if last and tried.error is not None:
            raise tried.error
    return units.sign(masks)


class _Units:
    """The units of a network's parts; it is traced once."""

    def __init__(self, model: nn.Module, example_inputs: Any, layers: Layers) -> None:
        self._model, self._example, self._layers = model, example_inputs, layers
        self.traced: Trace | None = None
        self.branches: Branches | None = None

    def sign(self, masks: Masks) -> Masks:
        """The masks, with the trace that they were made with, and all that stays."""
        if self.branches is not None:
            note = "\n".join(filter(None, [self.branches.report.note, masks.report.note]))
            masks.report = Report((*self.branches.report, *masks.report), note)
        if self.traced is not None:
            report = self.traced.report
            masks.report = Report((*report, *masks.report), report.note)
            masks.traced = self.traced
        return masks

    def hold(self, pins: Sequence[Pin]) -> None:
        """Pin more channels, and find out which others would not leave exactly."""
        nonzero = any(pin.operator == MAY_BE_NONZERO for pin in pins)
        if self.traced is None:
            self.traced = trace(self._model, self._example)
        elif nonzero and not self.traced.is_exact:
            self.traced = self.traced.exactly(self._model, self._example)
        else:
            self.traced = self.traced.hold(pins)

    def of(self, part: Part) -> Groups:
        if part.granularity == "filter":
            return self._with_readers(filters(self._model, self._example))
        if part.granularity == BRANCH:
            self.branches = self.branches or find_branches(self._model, self._example)
            return self.branches.groups(self._model)
        if self.traced is None:
            self.traced = trace(self._model, self._example, exact=False)
        kind: Literal["channel", "head"] = "head" if part.granularity == HEAD else "channel"
        return self.traced.groups("conv" if part.scope == "conv" else "all", kind)

    def _with_readers(self, found: Groups) -> Groups:
        """Filters, with their places in the layers that are left out, which read them."""
        if not self._layers.exclude:
            return found
        excluded = tuple(ChosenLayers(self._model, self._layers).excluded)
        try:
            traced = self.traced or trace(self._model, self._example, exact=False)
        except ChannelError:
            return found  # what cannot be traced is not compacted either
        return replace(found, slots=(*found.slots, *traced.readers(found, excluded)))


class SharedUnits:
    """The units of a network's parts, found once for all cuts of it, or of copies of it.

    Args:
        model: The network; it is not touched.
        example_inputs: A batch that it accepts.
        layers: As for `groups_of`.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        >>> units = SharedUnits(net, torch.zeros(1, 1, 4, 4))
        >>> units.of(Part("magnitude", "channel", "conv", "layer")).count
        4
    """

    def __init__(self, model: nn.Module, example_inputs: Any, layers: Layers = ALL_LAYERS) -> None:
        self._units = _Units(model, example_inputs, layers)
        self._known: dict[tuple[str, str], Groups] = {}

    def of(self, part: Part) -> Groups:
        """The units of a part.

        Raises:
            ModelError: As of `groups_of`.
            ChannelError: As of `groups_of`.
        """
        key = (part.granularity, part.scope)
        if key not in self._known:
            self._known[key] = self._units.of(part)
        return self._known[key]

    def sign(self, masks: Masks) -> Masks:
        """The masks, with the trace, so that compaction does not trace anew.

        Not where a later cut could ask for another way through the network: it finds that itself.
        """
        traced = self._units.traced
        if traced is not None and traced.is_settled:
            masks.traced = traced
        return masks


def groups_of(
    model: nn.Module, part: Part, example_inputs: Any, layers: Layers = ALL_LAYERS
) -> Groups:
    """The units of a part that cuts filters or channels.

    Args:
        model: The network.
        part: The part.
        example_inputs: A batch that the model accepts.
        layers: Those that are left out are places of what they read.

    Raises:
        ModelError: The model fails on the example.
        ChannelError: The channels cannot be traced.
    """
    return _Units(model, example_inputs, layers).of(part)
