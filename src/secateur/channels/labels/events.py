"""Events: what a tape notes down: steps, reads, choices, roles, attributes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from secateur.channels.labels.axis_labels import Flags, TensorLabels, Vector


@dataclass(eq=False, slots=True)
class Read:
    """One contraction: the places where channels are summed over, and so can leave.

    Attributes:
        path: The module in which it ran.
        operator: The operator's name.
        labels: int64 `[k]`, the label of each summed index.
        always_zero: bool `[k]`; True where the index contributes nothing whatever the input.
        values: float64 `[k]`; the constant that arrives at the index, NaN where it is not one, or
            where it cannot be moved into a bias exactly.
        idle: bool `[k]` or None; True where a constant factor multiplies it by zero.
        weight: The parameter that multiplies, if it is a plain one.
        rows: The labels of the outputs, and for each output whether it uses the index.
        may_be_nonzero: The index may bring something although its channel's own parameters are
            zero.
    """

    path: str
    operator: str
    labels: Vector
    always_zero: Flags
    values: NDArray[np.float64]
    idle: Flags | None = None
    weight: str | None = None
    rows: Vector | None = None
    used: Tensor | None = None
    may_be_nonzero: bool = True


Output = tuple[TensorLabels, torch.Size, torch.dtype]


@dataclass(eq=False, slots=True)
class Step:
    """One call on the tape, for the dry run of a cut.

    Attributes:
        name: The operator's name.
        path: The module in which it ran.
        result: The value, when it holds no tensor.
        outputs: TensorLabels, shape and type of each tensor that came out.
        inputs: The layouts that went in, in the order of the arguments.
        lengths: Labels whose number is written in an argument (the width of a pad, say).
        free: It follows every cut that the ties allow; no dry run need show it.
        numbers: The numbers and words among its arguments.
    """

    name: str
    path: str
    result: object
    outputs: list[Output]
    inputs: list[TensorLabels]
    lengths: list[Vector]
    free: bool = False
    numbers: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the network.

    Attributes:
        training: It ran in training mode.
        start: The number of its first step.
    """

    training: bool
    start: int


Place = tuple[int, int]
"""The number of a step, and of the choice within it."""


@dataclass(eq=False, slots=True)
class SplitChoice:
    """A place where an axis was split, and more than one way to keep the parts a grid.

    Attributes:
        place: Where it is made; the same in every pass, whatever was chosen before.
        options: How many ways there are.
        taken: The one that this pass took.
        labels: The labels that stand or fall with it.
    """

    place: Place
    options: int
    taken: int
    labels: Vector


class Hold(IntEnum):
    """What to do about a size written in the code, from mild to hard.

    `PAIR`: parts of equal length keep equal lengths. `LENGTHS`: the channels that the size counts
    stay. `ALL`: whatever the operator touches stays.
    """

    PAIR = 1
    LENGTHS = 2
    ALL = 3


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """A number kept by a module that counts channels.

    Attributes:
        path: The module.
        name: The attribute.
        item: Its position, when the attribute is a tuple or list of numbers.
        labels: The labels that it counts.
    """

    path: str
    name: str
    item: int | None
    labels: Vector


@dataclass(slots=True)
class Roles:
    """Labels by what is done with them.

    Attributes:
        writes: Of parameters that compute channels, with path and operator.
        reads: Of parameters that read channels.
        heads: Of axes along which products of activations are kept apart: heads of attention.
    """

    writes: list[tuple[Vector, str, str]] = field(default_factory=list)
    reads: list[Vector] = field(default_factory=list)
    heads: list[Vector] = field(default_factory=list)
