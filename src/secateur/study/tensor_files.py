"""Tensor files: scores and masks that a study names by a path, and that its runs are named by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from secateur.errors import MaskError
from secateur.spec import StudySpec
from secateur.study.method_settings import files_of


def contents_of(study: StudySpec) -> dict[str, str]:
    """Path -> SHA-256, in hex, of every file of scores or masks that a study names.

    Raises:
        MaskError: One cannot be read.
    """
    paths = {path for name in study.methods for path in files_of(study, name).values()}
    return {path: hashlib.sha256(_bytes(path)).hexdigest() for path in sorted(paths)}


def read_tensors(
    path: str, contents: Mapping[str, str] | None = None, copy: Path | None = None
) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name.

    Args:
        path: The file.
        contents: What `contents_of` said when the study was planned; None to take it as it is.
        copy: Where to read it instead.

    Raises:
        MaskError: It cannot be read, is no such file, or is no longer what it was.
    """
    held = _bytes(path if copy is None else str(copy))
    if contents is not None and hashlib.sha256(held).hexdigest() != contents.get(path):
        raise _wrong(path, "not as it was when the sweep began", "the file that runs are named by")
    try:
        return load(held)
    except SafetensorError as error:
        raise _wrong(path, f"no safetensors file ({error})", "one with a tensor a weight") from None


def _bytes(path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise _wrong(path, f"unreadable ({error.strerror})", "a safetensors file") from None


def _wrong(path: str, given: str, expected: str) -> MaskError:
    return MaskError(
        "reading scores or masks",
        path,
        given=given,
        expected=expected,
        remedy="Write it with safetensors.torch.save_file({name: tensor}, path).",
    )
