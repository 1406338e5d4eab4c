"""Examples in docstrings that need the native kernels are skipped where there are none."""

from __future__ import annotations

import pytest

from secateur.native import kernels

NEED_KERNELS = ("secateur.native.kernels.", "secateur.sparse.sparsify.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them."""
    if kernels.available():
        return
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.name.startswith(NEED_KERNELS):
            item.add_marker(pytest.mark.skip(reason="no native kernels here"))
