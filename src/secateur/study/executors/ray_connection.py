"""The connection to a Ray cluster: opened within a bounded time, quiet, closed without a trace."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from secateur.errors import UsageError
from secateur.foundation.threads import cores

LOCAL, AUTO = "local", "auto"
_CONNECTING = 30.0
_REACHING = 5.0
# Only what the user has not chosen. Ray reads them when it is imported or started.
_QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "error",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def import_ray() -> Any:
    """Ray, which is optional.

    Raises:
        UsageError: It is not installed.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise UsageError(
            "performing runs on Ray",
            "the package ray",
            given=f"not importable ({error})",
            expected="ray 2.50 or newer",
            remedy="Install it: pip install 'secateur[ray]'. Or leave --ray out.",
        ) from None
    if not hasattr(ray, "init"):  # any folder of this name, without the package
        raise UsageError(
            "performing runs on Ray",
            "the package ray",
            given=f"a folder of that name ({', '.join(ray.__path__)})",
            expected="ray 2.50 or newer",
            remedy="Install it: pip install 'secateur[ray]'. Or leave --ray out.",
        )
    return ray


def connect(address: str) -> bool:
    """Connect this process to a cluster, unless it is connected already.

    Args:
        address: `auto` (the cluster that runs on this machine, or the one of `RAY_ADDRESS`),
            `local` (one is started here, and ends with the connection), or `HOST:PORT`.

    Returns:
        Whether it was this call that connected: who connects disconnects.

    Raises:
        UsageError: No cluster answers there, or one of other versions does.
    """
    ray = import_ray()
    if ray.is_initialized():
        return False
    if "://" in address:
        raise _no_cluster(address, "an address of Ray's client", "HOST:PORT of the cluster's head")
    if address not in (LOCAL, AUTO):
        _reach(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        options |= {"num_cpus": cores(), "include_dashboard": False}
    raised: list[BaseException] = []

    def begin() -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(address=address, **options)
        except BaseException as error:  # told in the thread that waits
            raised.append(error)

    if address == LOCAL:
        begin()  # what it starts ends with the thread that has started it
    # Where something else listens at the address, Ray waits for ever and hears no signal.
    elif not _ends_in_time(begin):
        raise _no_cluster(address, f"without a cluster that answers within {_CONNECTING:.0f} s")
    if raised and not isinstance(raised[0], Exception):  # Ctrl-C while a cluster starts
        ray.shutdown()
        raise raised[0]
    if raised:
        raise _no_cluster(address, f"not to be connected to ({_line(raised[0])})") from None
    return True


def _ends_in_time(begin: Callable[[], None]) -> bool:
    thread = threading.Thread(target=begin, daemon=True)
    thread.start()
    thread.join(_CONNECTING)
    return not thread.is_alive()


def _reach(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise _no_cluster(address, "no address")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHING).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, f"out of reach ({error})") from None


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _no_cluster(address: str, given: str, expected: str = "") -> UsageError:
    return UsageError(
        "connecting to Ray",
        f"the address {address!r}",
        given=given,
        expected=expected or "a Ray cluster with this machine in it, of the same Ray and Python",
        remedy="Start one with `ray start --head`, join this machine to one with `ray start "
        "--address=HOST:6379 --num-cpus=0` and give `--ray auto`; or `--ray local`.",
    )


def slots(cpus: float, gpus: float) -> int:
    """How many runs with such resources the living nodes have room for, all together."""
    asked = {name: share for name, share in (("CPU", cpus), ("GPU", gpus)) if share}
    return sum(_room(node, asked) for node in _nodes())


def _room(node: Mapping[str, float], asked: Mapping[str, float]) -> int:
    return min(math.floor(node.get(name, 0) / share + 1e-9) for name, share in asked.items())


def _nodes() -> list[Mapping[str, float]]:
    return [node["Resources"] for node in import_ray().nodes() if node["Alive"]]


def check_room(cpus: float, gpus: float) -> None:
    """Refuse resources that no node of the cluster has.

    Raises:
        UsageError: None has; Ray would wait for such a node for ever.
    """
    if slots(cpus, gpus):
        return
    held = [f"{node.get('CPU', 0):g} and {node.get('GPU', 0):g}" for node in _nodes()]
    raise UsageError(
        "placing runs on Ray",
        "the CPUs and GPUs of a run",
        given=f"{cpus:g} and {gpus:g}",
        expected=f"no more than a node has: {'; '.join(sorted(set(held))[:5])}",
        remedy="Ask for less with --cpus-per-run and --gpus-per-run, or start a larger node.",
    )
