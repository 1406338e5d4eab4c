"""What holds for all tests: how threads wait, and which examples need the native kernels."""

from __future__ import annotations

import os
import signal

# Before torch is there. OpenMP's threads turn while they wait for each other, for milliseconds, on
# the cores that the other worker of pytest needs: two workers of two threads each, on two cores,
# take ten times as long as they should.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Whoever runs the tests in the background of a script ignores Ctrl-C, and so would every command
# that a test interrupts, and wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest

from secateur.runtime.kernels import kernels

NEED_KERNELS = (
    *(
        "secateur.runtime.kernels.kernels.",
        "secateur.runtime.kernels.packs.",
        "secateur.runtime.kernels.nonzeros.",
    ),
    *("secateur.runtime.layers.sparsify.", "secateur.runtime.layers.retraining."),
)


def pytest_report_header() -> str:
    """Say on which instruction sets the kernels are tested."""
    if not kernels.available():
        return f"sparse kernels: none ({kernels.why_not()})"
    return f"sparse kernels: {kernels.isa()}, also tested on {', '.join(kernels.isas())}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip examples in docstrings that need the native kernels where there are none."""
    if kernels.available():
        return
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.name.startswith(NEED_KERNELS):
            item.add_marker(pytest.mark.skip(reason="no native kernels here"))
