"""What a reader says of bytes that are not what they should be."""

from __future__ import annotations

from secateur.errors import ArtifactError


def damaged(path: object, given: str, expected: str) -> ArtifactError:
    """The error of a file whose bytes are not what they should be."""
    return ArtifactError(
        "reading a model file",
        str(path),
        given=given,
        expected=expected,
        remedy="Copy or download it again; nothing in it was run.",
    )
