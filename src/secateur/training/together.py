"""Together: one training in several processes, each with a device and a share of every batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from secateur.errors import DeviceError
from secateur.training.device import resolve_device
from secateur.training.follow import Following
from secateur.training.followers import Followers, pickled
from secateur.training.rank_group import OPERATION, PATIENCE, device_of, is_joined, join, meet, part

_T = TypeVar("_T")


def train_together(
    training: Any, device: str, devices: int, run: Callable[[torch.device, float], _T]
) -> _T:
    """Train on several devices.

    In a group that is up, or that `torchrun` has started, this process is one of its ranks, and
    every rank has called this with the same training. Otherwise this process is the first rank and
    starts the others.

    Args:
        training: What the others are sent, on the CPU; see `Following`.
        device: The first rank's, as `resolve_device` reads it.
        devices: How many.
        run: Trains on this process's device, in the group, waiting so many seconds for the others.

    Raises:
        DeviceError: There are not so many devices.
        TrainingError: A rank fails, dies, or is silent for too long.
        UsageError: The group has another number of processes.
    """
    if resolve_device(device).type not in ("cpu", "cuda"):
        raise DeviceError(
            OPERATION,
            "the device",
            given=device,
            expected="cpu or cuda",
            remedy="Set devices to 1, or --device cpu.",
        )
    if is_joined():
        return run(join(device, devices), PATIENCE)
    target = device_of(device, 0, devices)
    sent = Following(
        training,
        str(target),
        devices,
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        PATIENCE,
    )
    try:
        with Followers(pickled(sent), devices) as followers:
            meet(followers.place, 0, devices, target, PATIENCE)
            found = run(target, PATIENCE)
            part()
    finally:
        part()  # by now no other rank is there for which this could wait
    return found
