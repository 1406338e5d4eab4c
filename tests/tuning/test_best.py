"""The study file that a search leaves."""

from dataclasses import replace
from pathlib import Path

from secateur.spec import check_study, read_study
from secateur.tuning.best import tuned_study, write_best

from .test_record import RECORD


def test_it_is_a_study_whose_audit_knows_of_the_search(tmp_path: Path) -> None:
    study = check_study(
        {
            "name": "a" * 64,
            "version": 2,
            "base": {"checkpoint": '/some where/"x".pt'},
            "methods": {"magnitude": {"levels": [0.5, {"features.*": 0.5}]}, "dense": {}},
            "max_sparsity": {"fc": 0.5},
        },
        "a test",
    )
    path = write_best(tmp_path, study, RECORD)
    read = read_study(path)
    assert read == tuned_study(study, RECORD)
    assert read.tuned_epochs == 3 + 7
    assert len(read.name) == 64
    assert path.read_text().startswith(
        "# The best of 4 trials of `secateur tune`: trial 2, validation accuracy 0.7.\n"
    )


def test_what_is_tuned_again_keeps_its_name(tmp_path: Path) -> None:
    study = check_study({"name": "mine", "methods": {"dense": {}}}, "a test")
    once = tuned_study(study, RECORD)
    assert tuned_study(once, replace(RECORD, before=10)).name == once.name == "mine-tuned"
