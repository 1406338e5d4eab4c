"""Devices and precision, through Lightning Fabric.

Fabric rather than accelerate: it is an object that is passed along, with no process-wide state, so
two runs with different devices or precisions live in one process.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import torch

from secateur.errors import DeviceError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def resolve_device(name: str = "auto") -> torch.device:
    """The device that a name stands for; `auto` is the first GPU if there is one.

    Raises:
        DeviceError: The name is none, or this machine has no such device.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise _no_device(name, "no device that torch knows") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_device(name, f"absent ({torch.cuda.device_count()} CUDA devices are visible)")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise _no_device(name, "absent")
    if device.type not in ("cpu", "cuda", "mps"):
        raise _no_device(name, "not supported")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def _no_device(name: str, given: str) -> DeviceError:
    return DeviceError(
        "choosing a device",
        f"the device {name!r}",
        given=given,
        expected="auto, cpu, cuda, cuda:N or mps, present on this machine",
        remedy="Use --device cpu, or install a torch build for this accelerator.",
    )


def fabric_for(device: torch.device, precision: str = "auto") -> Fabric:
    """A Fabric for one device.

    Args:
        device: From `resolve_device`.
        precision: As for `precision_word`.

    Raises:
        DeviceError: The precision is `16` on a CPU, which torch does not train in.
    """
    precision = precision_word(device, precision)
    devices = [device.index or 0] if device.type == "cuda" else 1
    return quiet_fabric()(accelerator=device.type, devices=devices, precision=precision)  # type: ignore[arg-type]


def precision_word(device: torch.device, precision: str) -> str:
    """A precision as Fabric calls it.

    Args:
        device: From `resolve_device`.
        precision: `32`, `bf16` or `16` (mixed); `auto` is bf16 where the GPU has it, else 32.

    Raises:
        DeviceError: The precision is `16` on a CPU, which torch does not train in.

    Example:
        >>> precision_word(torch.device("cpu"), "auto")
        '32-true'
    """
    if precision == "16" and device.type == "cpu":
        raise DeviceError(
            "choosing a precision",
            "training.precision",
            given="16 on a CPU",
            expected="32 or bf16 there",
            remedy="Set precision to 'auto'.",
        )
    if precision == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bf16" if has_bf16 else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision]


def quiet_fabric() -> type[Fabric]:
    """Fabric, which says nothing but warnings from now on."""
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from secateur.training.fabric import Fabric

    return Fabric


def prepare_process(threads: int | None = None) -> None:
    """Set up this process for training: threads, subnormals flushed, deterministic kernels.

    Call it before anything is computed: threads of torch's pool take over the flush-to-zero flag
    of the thread that starts them, so a pool that exists already keeps its slow subnormals.

    Args:
        threads: Intra-op threads; None leaves torch's choice.
    """
    torch.set_flush_denormal(True)
    if threads is not None:
        torch.set_num_threads(threads)
    # cuBLAS is deterministic only with a workspace of fixed size.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    # It fills what nobody reads, at 3 % of a training step; a kernel that reads it is a bug.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
