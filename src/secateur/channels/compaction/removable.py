"""Removable: which classes can leave a masked network without changing what it computes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch

from secateur.channels.labels.axis_labels import Flags
from secateur.channels.labels.events import Read
from secateur.channels.tracing.channel_classes import Classes
from secateur.channels.tracing.tape import Tape
from secateur.channels.tracing.zero_check import is_needless


def removable(tape: Tape, classes: Classes, *, foldable: Collection[str]) -> Flags:
    """Bool `[classes]`: the classes that may go.

    A class may go when, at every place that sums over it, what it brings is zero, or a constant
    that a bias can take over, or multiplied by zeros in every output that stays.

    Args:
        tape: A pass of the masked network that followed constants.
        classes: Its classes.
        foldable: Weights whose layer can take a constant into its bias.
    """
    count = classes.pinned.size
    candidate = classes.candidates
    gone = np.zeros(count, np.bool_)
    plain = [is_needless(read, foldable) for read in tape.reads]
    unused = [_unused(read, classes, gone) for read in tape.reads]
    while True:
        needed = np.zeros(count, np.bool_)
        for read, unneeded, idle in zip(tape.reads, plain, unused, strict=True):
            needed[classes.of(read.labels)[~(unneeded | idle)]] = True
        now = candidate & ~needed
        if (now == gone).all():
            return gone
        for number, read in enumerate(tape.reads):
            if read.rows is not None and (now != gone)[classes.of(read.rows)].any():
                unused[number] = _unused(read, classes, now)
        gone = now


def _unused(read: Read, classes: Classes, gone: Flags) -> Flags:
    if read.used is None:
        return np.zeros(read.labels.size, np.bool_) if read.idle is None else read.idle
    used = read.used
    if read.rows is not None and gone[classes.of(read.rows)].any():
        used = used[torch.from_numpy(~gone[classes.of(read.rows)])]
    unused: Flags = (~used.any(0)).numpy()
    return unused
