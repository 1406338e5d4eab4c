"""Groups: what is cut as one, and every place in the parameters that goes with it.

A *group* is one channel (a filter of a convolution, a neuron, an attention head), or one residual
branch. It lives in several *slots*: the rows of a weight that compute it, its bias, its norm's
affine, and the columns of the layers that read it. All groups of a network are held in arrays,
never as one object each: a slot maps every index along one axis of one parameter to the group it
belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Role = Literal["write", "affine", "read"]


@dataclass(frozen=True)
class Slot:
    """One axis of one parameter, and the group that each index along it belongs to.

    Attributes:
        parameter: The parameter's state-dict name.
        axis: The axis, counted from 0.
        groups: int64, shape `[parameter.shape[axis]]`; the group's number, or -1 where the index
            belongs to no group and is never cut.
        role: `write`: these weights compute the channel, so they are scored and zeroed.
            `affine`: bias, norm scale or shift, zeroed with the channel but not scored.
            `read`: these weights read the channel; they are taken out with it at compaction and
            left alone by a mask.
    """

    parameter: str
    axis: int
    groups: Tensor
    role: Role


@dataclass(frozen=True)
class Groups:
    """All the groups of a network, numbered from 0 to `count - 1`.

    Attributes:
        layers: Names of the layers, in the order of the forward pass; a group is ranked, floored
            and reported under its layer (the module that computes it first).
        layer: int64, shape `[count]`: which of `layers` each group belongs to.
        slots: Every place of every group.
        multiples: By layer, where a kernel asks for it: as many of its groups stay as a multiple
            of this.
        whole: Whether a unit is all that its layers hold, so that cutting it empties them.
    """

    layers: tuple[str, ...]
    layer: Tensor
    slots: tuple[Slot, ...]
    multiples: Mapping[str, int] = field(default_factory=dict)
    whole: bool = False

    @property
    def count(self) -> int:
        """How many groups there are."""
        return self.layer.numel()
