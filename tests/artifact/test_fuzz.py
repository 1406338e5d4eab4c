"""A few thousand mutated files; benchmarks/fuzz_artifact.py does a hundred thousand."""

from pathlib import Path

import fuzz_artifact
import pytest

from secateur.artifact.load import load_state_dict

CORPUS = sorted(Path(__file__).with_name("corpus").glob("*.safetensors"))


def test_damaged_files_end_well_or_in_a_named_error(tmp_path: Path) -> None:
    watch = fuzz_artifact.Watch()
    found = fuzz_artifact.fuzz(600, 7, tmp_path, watch)
    assert not watch.seen
    assert sum(sum(counts.values()) for counts in found.values()) == 600
    assert all(set(counts) <= {"read", "ArtifactError"} for counts in found.values())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_ends_as_it_did(path: Path) -> None:
    assert fuzz_artifact.read(path)[0] == path.name.partition("-")[0]


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 20


def test_the_harness_signs_what_it_changes(tmp_path: Path) -> None:
    for content in fuzz_artifact.seeds(tmp_path):
        path = tmp_path / "again"
        path.write_bytes(fuzz_artifact.joined(*fuzz_artifact.split(content)))
        assert load_state_dict(path)


def test_the_watch_sees_what_should_not_happen(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    watch = fuzz_artifact.Watch()
    watch.path = str(tmp_path / "file")
    (tmp_path / "other").read_text()
    watch.path = None
    assert list(watch.seen) == [f"open {tmp_path / 'other'}"[:65]]
