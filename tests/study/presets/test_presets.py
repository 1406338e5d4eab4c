import pytest

from secateur.errors import SpecError, UnknownNameError
from secateur.study import presets
from secateur.study.plan import plan


def test_the_embedded_studies_are_two() -> None:
    assert presets.names() == ["demo", "original"]


@pytest.mark.parametrize("name", presets.names())
def test_every_embedded_study_is_valid_named_after_its_file_and_says_what_it_is(name: str) -> None:
    study = presets.read(name)
    assert study.name == name
    assert plan(study, {"data": ""})
    assert presets.text(name).startswith("# ")


def test_the_demo_compares_four_methods_with_their_controls_at_five_levels() -> None:
    study = presets.read("demo")
    assert study.model.name == "conv4"
    assert study.data.name == "fashion-mini"
    wanted = {"magnitude", "l1-filter", "slimming", "combined", "dense", "random-filter"}
    assert wanted <= set(study.methods)
    assert all(len(study.levels_of(name)) >= 5 for name in wanted)
    assert (0.9,) in study.levels_of("magnitude")


def test_the_original_protocol_is_fifty_epochs_then_twenty_five_a_level_over_three_seeds() -> None:
    study = presets.read("original")
    assert (study.training.base_epochs, study.training.retrain_epochs) == (50, 25)
    assert study.seeds == (0, 1, 2)
    assert all(len(study.levels_of(name)) == 10 for name in study.methods)
    points = [run for run in plan(study, {"data": ""}) if run.method == "magnitude"]
    assert max(sum(run.spent.values()) for run in points) == 50 + 10 * 25


def test_a_name_that_is_neither_a_study_nor_a_file_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'demo'"):
        presets.read("dmeo")
    with pytest.raises(UnknownNameError, match="Did you mean 'original'"):
        presets.text("orginal")


def test_a_path_is_read_as_a_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "demo").mkdir()
    own = tmp_path / "own.toml"
    own.write_text('name = "mine"\n[methods.magnitude]\n')
    assert presets.read(str(own)).name == "mine"
    with pytest.raises(SpecError, match="No such file"):
        presets.read(str(tmp_path / "absent.toml"))
    # A run folder named after an embedded study does not hide it.
    monkeypatch.chdir(tmp_path)
    assert presets.read("demo").name == "demo"
