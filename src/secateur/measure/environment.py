"""Where a number was measured: versions and machine."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from secateur.foundation.threads import cores

_CPUINFO = Path("/proc/cpuinfo")


def environment(device: torch.device | str = "cpu", *, devices: int = 1) -> dict[str, str]:
    """Describe the software and the machine that numbers measured now come from.

    Args:
        device: The device that the network runs on.
        devices: How many processes have trained it together.

    Returns:
        `secateur`, `python`, `torch`, `numpy` (versions); `system`; `cpu` (its model),
        `instruction_set` (that torch's kernels use),
        `cores` (that this process may use), `threads` (that torch uses); `device`
        (its name); `devices` where they are several.

    Example:
        >>> environment()["torch"] == torch.__version__
        True
    """
    return {
        "secateur": _version("secateur"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": _cpu_model(_CPUINFO),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "cores": str(cores()),
        "threads": str(torch.get_num_threads()),
        "device": _device_name(torch.device(device)),
        **({"devices": str(devices)} if devices > 1 else {}),
    }


def _version(package: str) -> str:
    """The installed version; a source tree on the path without installation has none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_model(cpuinfo: Path) -> str:
    """The CPU's name; Linux alone tells it here, and not on every architecture."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
