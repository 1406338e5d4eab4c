from pathlib import Path

from secateur.spec import StudySpec
from secateur.study.plan import plan, settings_of
from secateur.tracking.tracker import Tracked, tags

STUDY = StudySpec.model_validate(
    {
        "methods": {"combined": {"levels": ["0.3/0.9"]}, "slimming": {"levels": [0.5]}},
        "model": {"name": "conv4", "options": {"width": 3}},
        "training": {"base_epochs": 7},
    }
)
RUNS = plan(STUDY, {"data": "..."})
TRACKED = Tracked(Path("run"), settings_of(STUDY), RUNS)


def test_what_made_a_run_is_flat_text() -> None:
    (run,) = [run for run in RUNS if run.method == "combined"]
    found = TRACKED.parameters(run)
    assert found["training.base_epochs"] == "7"
    assert found["model.options"] == '{"width": 3}'
    assert (found["method"], found["level"], found["seed"]) == ("combined", "0.3/0.9", "0")
    assert not {"data.options", "method.levels", "method.schedule"} & set(found)
    assert all(isinstance(value, str) and value for value in found.values())


def test_tags_find_a_run_and_its_parents() -> None:
    (run,) = [run for run in RUNS if run.kind == "point" and run.method == "slimming"]
    found = tags(run)
    assert found["secateur.digest"] == run.digest
    assert found["secateur.parent.slim"] in {each.digest for each in RUNS if each.kind == "slim"}
    assert (found["secateur.kind"], found["secateur.level"]) == ("point", "0.5")


def test_the_studys_digest_is_that_of_its_runs() -> None:
    assert Tracked(Path("elsewhere"), {}, RUNS).digest == TRACKED.digest
    assert Tracked(Path("run"), {}, RUNS[:-1]).digest != TRACKED.digest


def test_a_choice_of_layers_is_told_of_the_method_or_else_of_the_study() -> None:
    study = StudySpec.model_validate(
        {
            "methods": {"magnitude": {"exclude": "conv1"}, "l1-filter": {"exclude": []}},
            "exclude": "fc",
            "max_sparsity": 0.9,
        }
    )
    runs = plan(study, {"data": "..."})
    tracked = Tracked(Path("run"), settings_of(study), runs)
    told = {run.method: tracked.parameters(run) for run in runs if run.kind == "point"}
    assert told["magnitude"]["exclude"] == '["conv1"]'
    assert told["magnitude"]["max_sparsity"] == '[["*", 0.9]]'
    assert "exclude" not in told["l1-filter"]
    assert not [name for name in told["magnitude"] if name.startswith("method.exclude")]
