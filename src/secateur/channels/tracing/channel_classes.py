"""Channel classes: the connected components of all ties, and what holds some of them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from secateur.channels.labels.axis_labels import Flags, Vector
from secateur.channels.tracing.tape import Tape
from secateur.pruning.groups import Groups, Role, Slot
from secateur.pruning.pinned import Pinned


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """The channel classes of a traced network.

    Attributes:
        component: int64 `[labels]`; the class of each label.
        pinned: bool `[classes]`; the class may not be cut.
        written: int64 `[classes]`; the number of the write that computes it first, or -1.
        writes: Path and operator of each write, in the order of the pass.
        report: What was pinned, by operator.
    """

    component: Vector
    pinned: Flags
    written: Vector
    writes: tuple[tuple[str, str], ...]
    report: tuple[Pinned, ...]

    @property
    def candidates(self) -> Flags:
        """Bool `[classes]`: computed by some layer, and not pinned."""
        return (self.written >= 0) & ~self.pinned

    def pin(self, held: Flags, operator: str) -> Classes:
        """The same classes with some more of them pinned."""
        paths = [self.writes[write][0] for write in self.written[held & self.candidates]]
        more = (Pinned(operator, path, n) for path, n in Counter(paths).items())
        return replace(self, pinned=self.pinned | held, report=(*self.report, *more))

    def of(self, labels: Vector) -> Vector:
        """The classes of a vector of labels."""
        return self.component[labels]


def find_classes(tape: Tape) -> Classes:
    """Find the connected components of everything that was tied on a tape."""
    component = tape.ties.components()
    count = int(component.max()) + 1
    written = np.full(count, -1, np.int64)
    for number in reversed(range(len(tape.roles.writes))):
        written[component[tape.roles.writes[number][0]]] = number
    rows = np.bincount(
        component[
            np.unique(
                np.concatenate(
                    [np.zeros(0, np.int64), *(labels for labels, _, _ in tape.roles.writes)]
                )
            )
        ],
        minlength=count,
    )
    pinned = np.zeros(count, np.bool_)
    pinned[component[0]] = True
    report: dict[tuple[str, str], int] = {}

    def hold(labels: Vector, operator: str, path: str) -> None:
        touched = component[labels]
        free = touched[~pinned[touched]]
        if not free.size:
            return
        new = np.unique(free)
        pinned[new] = True
        channels = int(rows[new].sum())
        if channels:
            report[operator, path] = report.get((operator, path), 0) + channels

    for pin in tape.ties.pins:
        hold(pin.labels, pin.operator, pin.path)
    for name, layout in tape.parameters.items():
        for axis in layout.axes:
            if axis is not None and _is_one(component[axis.labels]):
                hold(axis.labels, "the only class of its axis", name)
    return Classes(
        component,
        pinned,
        written,
        tuple((path, operator) for _, path, operator in tape.roles.writes),
        tuple(Pinned(operator, path, n) for (operator, path), n in report.items()),
    )


def _is_one(members: Vector) -> bool:
    return bool((members == members[0]).all())


def groups_of(
    tape: Tape,
    classes: Classes,
    names: frozenset[str],
    *,
    conv_only: bool,
    heads_only: bool = False,
) -> Groups:
    """The classes that may be cut, as the arrays that pruning works on.

    Args:
        tape: The pass.
        classes: Its classes.
        names: The parameters (buffers belong to no group).
        conv_only: Only channels that a convolution computes.
        heads_only: Only heads of attention.
    """
    among = _heads(tape, classes) if heads_only else np.ones_like(classes.pinned)
    number, layers, layer = _numbered(classes, among, conv_only=conv_only)
    roles = roles_of(tape)
    slots = []
    for name, layout in tape.parameters.items():
        if name not in names:
            continue
        for position, axis in enumerate(layout.axes):
            if axis is None:
                continue
            members = number[classes.of(axis.labels)]
            if (members >= 0).any():
                slots.append(Slot(name, position, torch.from_numpy(members), roles[name, position]))
    return Groups(
        layers,
        torch.from_numpy(layer),
        tuple(slots),
        _multiples(tape, classes, number, layers, layer),
    )


def _multiples(
    tape: Tape, classes: Classes, number: Vector, layers: tuple[str, ...], layer: Vector
) -> dict[str, int]:
    """By layer, what the number of its groups must be a multiple of, where a kernel says so."""
    multiples: dict[str, int] = {}
    for labels, multiple in tape.multiples:
        members = number[classes.of(labels)]
        for index in np.unique(layer[members[members >= 0]]):
            path = layers[index]
            multiples[path] = math.lcm(multiples.get(path, 1), multiple)
    return multiples


def roles_of(tape: Tape) -> dict[tuple[str, int], Role]:
    """What each labelled axis of each parameter does to its channels."""
    reads = np.zeros(tape.ties.count, np.bool_)
    writes = np.zeros(tape.ties.count, np.bool_)
    for labels in tape.roles.reads:
        reads[labels] = True
    for labels, _, _ in tape.roles.writes:
        writes[labels] = True
    roles: dict[tuple[str, int], Role] = {}
    for name, layout in tape.parameters.items():
        for position, axis in enumerate(layout.axes):
            if axis is not None:
                read: Role = "read" if reads[axis.labels].any() else "affine"
                roles[name, position] = "write" if writes[axis.labels].any() else read
    return roles


def foldable_weights(model: nn.Module, tape: Tape) -> frozenset[str]:
    """Weights of plain layers that read exactly once: their bias can take a constant over."""
    reads = Counter(read.weight for read in tape.reads if read.weight is not None)
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    shared = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    return frozenset(
        f"{path}.weight" if path else "weight"
        for path, module in model.named_modules()
        if isinstance(module, kinds)
        and reads[f"{path}.weight" if path else "weight"] == 1
        and shared[id(module.weight)] == 1
        and (module.bias is None or shared[id(module.bias)] == 1)
    )


def _heads(tape: Tape, classes: Classes) -> Flags:
    """Bool `[classes]`: products of activations are kept apart along it."""
    found = np.zeros_like(classes.pinned)
    for labels in tape.roles.heads:
        found[classes.of(labels)] = True
    return found


def _numbered(
    classes: Classes, among: Flags, *, conv_only: bool
) -> tuple[Vector, tuple[str, ...], NDArray[np.int64]]:
    conv = np.array([operator.startswith("conv") for _, operator in classes.writes], np.bool_)
    free = classes.candidates & among
    if conv_only and conv.size:
        free &= conv[classes.written]
    chosen = np.flatnonzero(free)
    chosen = chosen[np.argsort(classes.written[chosen], kind="stable")]
    number = np.full(classes.pinned.size, -1, np.int64)
    number[chosen] = np.arange(chosen.size)
    paths = [classes.writes[write][0] for write in classes.written[chosen]]
    layers = tuple(dict.fromkeys(paths))
    index = {path: n for n, path in enumerate(layers)}
    return number, layers, np.array([index[path] for path in paths], np.int64)
