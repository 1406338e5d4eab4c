"""A few thousand mutated files; benchmarks/fuzz_artifact.py does a hundred thousand."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from secateur.artifact.load import load_state_dict

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*.safetensors"))
HARNESS = HERE.parents[1] / "benchmarks" / "fuzz_artifact.py"


@pytest.fixture(scope="module")
def harness() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_artifact", HARNESS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["fuzz_artifact"] = module
    spec.loader.exec_module(module)
    return module


def test_damaged_files_end_well_or_in_a_named_error(harness: ModuleType, tmp_path: Path) -> None:
    watch = harness.Watch()
    found = harness.fuzz(600, 7, tmp_path, watch)
    assert not watch.seen
    assert sum(sum(counts.values()) for counts in found.values()) == 600
    assert all(set(counts) <= {"read", "ArtifactError"} for counts in found.values())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_the_corpus_ends_as_it_did(harness: ModuleType, path: Path) -> None:
    assert harness.read(path)[0] == path.name.partition("-")[0]


def test_there_is_a_corpus() -> None:
    assert len(CORPUS) > 20


def test_the_harness_signs_what_it_changes(harness: ModuleType, tmp_path: Path) -> None:
    for content in harness.seeds(tmp_path):
        path = tmp_path / "again"
        path.write_bytes(harness.joined(*harness.split(content)))
        assert load_state_dict(path)


def test_the_watch_sees_what_should_not_happen(harness: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    watch = harness.Watch()
    watch.path = str(tmp_path / "file")
    (tmp_path / "other").read_text()
    watch.path = None
    assert list(watch.seen) == [f"open {tmp_path / 'other'}"[:65]]
