"""What a reader says of bytes that are not what they should be."""

from __future__ import annotations

from secateur.errors import ArtifactError

_FOREIGN = (
    (b"PK\x03\x04", "a zip archive, as torch.export (.pt2) and torch.save (.pt) write it"),
    (b"\x80", "a pickle, as torch.save wrote it"),
    (b"\x89HDF", "an HDF5 file"),
    (b"GGUF", "a GGUF file"),
)
_PROTOBUF = b"\x08"


def foreign(path: object, start: bytes) -> ArtifactError | None:
    """The error of a file of another kind, known by its first bytes; None where they say nothing.

    What torch writes may hold code and is not read here: not even our own.
    """
    kind = next((words for first, words in _FOREIGN if start.startswith(first)), "")
    remedy = (
        "Nothing in it was run. Load it with torch.export.load or torch.load, if you trust it, and "
        "secateur.save the network; `secateur export --to safetensors` or `--to onnx` writes a "
        "point as a file that is read here."
    )
    if not kind and start.startswith(_PROTOBUF):
        kind, remedy = "perhaps ONNX", "Give it a name that ends in .onnx."
    if not kind:
        return None
    return ArtifactError(
        "reading a model file",
        str(path),
        given=kind,
        expected="a safetensors file, or an ONNX file in .onnx",
        remedy=remedy,
    )


def damaged(path: object, given: str, expected: str) -> ArtifactError:
    """The error of a file whose bytes are not what they should be."""
    return ArtifactError(
        "reading a model file",
        str(path),
        given=given,
        expected=expected,
        remedy="Copy or download it again; nothing in it was run.",
    )
