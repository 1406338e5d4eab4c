"""The packages that only some need: ONNX and its runtime."""

from __future__ import annotations

import importlib
from types import ModuleType

from secateur.errors import ArtifactError


def imported(name: str) -> ModuleType:
    """One of the optional packages.

    Raises:
        ArtifactError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ArtifactError(
            "working with ONNX",
            f"the package {name}",
            given="missing",
            expected="installed",
            remedy="Install it with: pip install 'secateur[export]'.",
        ) from None
