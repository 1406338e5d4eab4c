"""What the page's commands say of a network of the user's own."""

import shlex

import pytest

from secateur.report.page.command import builder_note, builder_option


@pytest.mark.parametrize("model", [None, "conv4", {}, {"name": "conv4"}, {"name": "lenet-5"}])
def test_a_reference_net_needs_no_word(model: object) -> None:
    assert builder_option({"model": model}) == ""
    assert builder_note({"model": model}) == ""


@pytest.mark.parametrize("name", ["mynets:build", "my.nets:build", "my.nets:Nets.build"])
def test_a_function_that_can_be_imported_is_named(name: str) -> None:
    assert builder_option({"model": {"name": name, "options": {"width": 3}}}) == f" --model {name}"
    assert builder_note({"model": {"name": name}}) == ""


@pytest.mark.parametrize(
    "name", ["__main__:net", "a:f.<locals>.g", "gone-from-the-registry", "a:$(b)", "a b:c", ":f"]
)
def test_what_the_command_line_cannot_find_is_left_to_the_user(name: str) -> None:
    assert builder_option({"model": {"name": name}}) == " --model MODULE:FUNCTION"
    assert "MODULE:FUNCTION" in builder_note({"model": {"name": name}})


@pytest.mark.parametrize("name", ["a:b", "conv4"])
def test_options_that_may_be_paths_are_the_study_files(name: str) -> None:
    settings = {"model": {"name": name, "options": {"weights": "/home/me/w.pt"}}}
    assert builder_option(settings) == " --study STUDY.toml"
    assert "STUDY.toml" in builder_note(settings)


def test_it_is_one_word_of_the_shell() -> None:
    assert shlex.split(builder_option({"model": {"name": "größe:netz"}})) == [
        "--model", "größe:netz",
    ]  # fmt: skip
