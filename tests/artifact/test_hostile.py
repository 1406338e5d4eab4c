"""Hostile files on purpose: each trick is refused with a named error, in little memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from artifact_hostile import HOSTILE, answers, sound
from fuzz_artifact import Watch

from secateur.artifact.memory import working_memory
from secateur.registry import MODELS

ONLY_WHERE_A_NET_IS_BUILT = {
    "a tie to a tensor of another shape",
    "a class to import",
    "a path for a class",
    "a reference net of 40 TB",
    "a number for a method",
    "a number for a class",
}


@pytest.fixture(scope="module")
def watch() -> Watch:
    assert "no such net" not in MODELS  # the first look reads what is installed
    return Watch()


@pytest.fixture(scope="module")
def content() -> bytes:
    return sound()


def test_the_file_that_they_are_made_from_is_sound(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert answers(tmp_path / "x")[:3] == ["read"] * 3


@pytest.mark.parametrize("trick", HOSTILE)
def test_a_trick_is_refused(tmp_path: Path, watch: Watch, content: bytes, trick: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(HOSTILE[trick](content))
    watch.path = str(path)
    # Inspection counts only zeros, so a trick of another kind may be none there.
    plain, _, built, reference = answers(path)
    watch.path = None
    assert not watch.seen
    assert "Error: " in reference
    if trick not in ONLY_WHERE_A_NET_IS_BUILT:
        assert plain.startswith("ArtifactError: ")
        assert "Error: " in built


@pytest.mark.parametrize("trick", [trick for trick in HOSTILE if "bomb" in trick])
def test_a_bomb_takes_little_memory(tmp_path: Path, content: bytes, trick: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(HOSTILE[trick](content))
    taken = working_memory(lambda: answers(path))
    assert taken is None or taken < 32 << 20
