"""A rank group: the processes of one training, as torch and Lightning Fabric know them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed

from secateur.errors import DeviceError, UsageError
from secateur.training.device import precision_word, quiet_fabric, resolve_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric

OPERATION = "training on several devices"
PATIENCE = 1800.0
"""Seconds that a rank waits for the others in one step; as torch's own default."""


def is_joined() -> bool:
    """Whether this process belongs to a group already, or `torchrun` has started it for one."""
    return distributed.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) > 1


def device_of(name: str, number: int, devices: int) -> torch.device:
    """The device of one of several processes of this machine.

    Args:
        name: The first one's, as `resolve_device` reads it; those of the others follow it.
        number: Of the process, from 0.
        devices: How many there are.

    Raises:
        DeviceError: There are not so many of its kind.

    Example:
        >>> device_of("cpu", 1, 2)
        device(type='cpu')
    """
    first = resolve_device(name)
    if first.type == "cpu":
        return first
    start = first.index or 0
    there = torch.cuda.device_count() if first.type == "cuda" else 1
    if start + devices > there:
        raise DeviceError(
            OPERATION,
            f"devices = {devices}",
            given=f"more than there are from {first} on ({there - start})",
            expected="a GPU of this machine for each process",
            remedy="Ask for fewer, or for --device cpu, where processes share the cores.",
        )
    return torch.device(first.type, start + number)


def join(name: str, devices: int) -> torch.device:
    """Be one of a group that `torchrun` has started, or that is up.

    Args:
        name: As `resolve_device` reads it; of GPUs, each process of a machine takes its own.
        devices: How many processes the settings ask for.

    Returns:
        This process's device.

    Raises:
        UsageError: The group has another number of processes.
        DeviceError: This machine has not a GPU for each of its processes.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if distributed.is_initialized():
        size = distributed.get_world_size()
    if size != devices:
        raise UsageError(
            OPERATION,
            f"devices = {devices}",
            given=f"asked for in a group of {size} processes",
            expected="as many as torchrun has started, in all",
            remedy=f"Set devices to {size}, or start the script without torchrun.",
        )
    local = _local_rank()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", str(local + 1)))
    target = device_of(name, local, here)
    if target.type == "cuda":
        torch.cuda.set_device(target)
    if not distributed.is_initialized():
        wait = timedelta(seconds=PATIENCE)
        distributed.init_process_group(_backend(target), timeout=wait)
    return target


def meet(place: Path, rank: int, world: int, target: torch.device, patience: float) -> None:
    """Be one of a group of this machine's processes, which meet by a file.

    Args:
        place: The file; it is made.
        rank: Of this process.
        world: How many there are.
        target: This process's device.
        patience: Seconds to wait for the others, here and in every step.
    """
    wait = timedelta(seconds=patience)
    if target.type == "cuda":
        torch.cuda.set_device(target)
    store = distributed.FileStore(str(place), world)  # type: ignore[attr-defined]
    with _on_this_machine():
        distributed.init_process_group(
            _backend(target), store=store, rank=rank, world_size=world, timeout=wait
        )


def part() -> None:
    """Leave the group, if this process is in one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def fabric_of_ranks(target: torch.device, precision: str) -> Fabric:
    """Fabric for the group that this process is in: gradients are averaged.

    Buffers that each rank would change by itself are the first rank's from step to step.

    Args:
        target: This process's device.
        precision: As for `fabric_for`.
    """
    make = quiet_fabric()
    from lightning_fabric.strategies.ddp import DDPStrategy

    local = int(os.environ.get("LOCAL_WORLD_SIZE", str(distributed.get_world_size())))
    first = (target.index or 0) - _local_rank()
    strategy = DDPStrategy(cluster_environment=_environment(), find_unused_parameters=True)
    fabric = make(
        accelerator=target.type,
        devices=[first + each for each in range(local)] if target.type == "cuda" else local,
        num_nodes=distributed.get_world_size() // local,
        precision=precision_word(target, precision),  # type: ignore[arg-type]
        strategy=strategy,
    )
    fabric.launch()
    return fabric


def _backend(target: torch.device) -> str:
    return "nccl" if target.type == "cuda" else "gloo"


def _local_rank() -> int:
    own = distributed.get_rank() if distributed.is_initialized() else 0
    return int(os.environ.get("LOCAL_RANK", str(own)))


@contextmanager
def _on_this_machine() -> Iterator[None]:
    """Gloo talks over the loop-back device meanwhile: no name of this host has to be known."""
    name = next((one for _, one in socket.if_nameindex() if one in ("lo", "lo0")), None)
    if name is None or "GLOO_SOCKET_IFNAME" in os.environ:
        yield
        return
    os.environ["GLOO_SOCKET_IFNAME"] = name
    try:
        yield
    finally:
        os.environ.pop("GLOO_SOCKET_IFNAME", None)


def _environment() -> Any:
    """What Fabric asks of a cluster, answered by the group that is up."""
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment

    class Ranks(ClusterEnvironment):
        creates_processes_externally = True
        main_address = "127.0.0.1"
        main_port = 0

        @staticmethod
        def detect() -> bool:
            return False

        def world_size(self) -> int:
            return distributed.get_world_size()

        def global_rank(self) -> int:
            return distributed.get_rank()

        def local_rank(self) -> int:
            return _local_rank()

        def node_rank(self) -> int:
            return int(os.environ.get("GROUP_RANK", "0"))

        def set_world_size(self, size: int) -> None:
            """The group knows it."""

        def set_global_rank(self, rank: int) -> None:
            """The group knows it."""

    return Ranks()
