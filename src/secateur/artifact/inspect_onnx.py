"""Looking into an ONNX file, in a process apart: weights, and multiply-adds of the graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from secateur.artifact.apart import ApartError, run_apart
from secateur.artifact.error import damaged
from secateur.artifact.inspection import Inspection
from secateur.artifact.path import check_file
from secateur.errors import ArtifactError

_SECONDS = 600
_BYTES_A_SECOND = 1 << 20
"""On the clock of a busy machine; how much is computed in it, the process bounds by itself."""


def inspect_onnx(path: Path) -> Inspection:
    """Inspect an ONNX file; weights that it keeps in other files are named, never opened.

    Args:
        path: The file. What it has the onnx library do is bounded in time and memory.

    Raises:
        ArtifactError: It is missing or damaged, unfolds to far more than it holds, or onnx is not
            installed.
    """
    check_file(path)
    seconds = _SECONDS + path.stat().st_size / _BYTES_A_SECOND
    try:
        told = run_apart("secateur.artifact.onnx_file", [str(path.absolute())], seconds=seconds)
    except ApartError as error:
        raise damaged(path, f"more than could be read ({error})", "an ONNX file") from None
    # The multiply-adds come in a second line, if they come.
    values: dict[str, Any] = json.loads(told.split(b"\n")[-2])
    if "error" in values:
        raise ArtifactError(**values["error"])
    return TypeAdapter(Inspection).validate_python(values | {"path": str(path)})
