"""The studies of `benchmarks/` that take hours can at least be planned."""

from pathlib import Path

import pytest

from secateur.spec import read_study
from secateur.study.plan import plan

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
FILES = sorted(BENCHMARKS.glob("studies/*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_study_has_its_file_s_name_and_a_plan(file: Path) -> None:
    study = read_study(file)
    assert study.name == file.stem
    assert plan(study, {"data": "..."})
