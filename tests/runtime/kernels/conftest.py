"""What the tests of the kernels share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from secateur.runtime.kernels import kernels

sys.path.insert(0, str(Path(__file__).parent))  # for one_op


@pytest.fixture
def any_isa() -> Iterator[None]:
    """Skip where there are none; put the instruction set back."""
    if not kernels.available():
        pytest.skip(kernels.why_not())
    before = kernels.isa()
    yield
    kernels.use_isa(before)
