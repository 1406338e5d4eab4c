import pytest
from typer.testing import CliRunner

from secateur.cli import app
from secateur.errors import UnknownNameError
from secateur.pruning.method import FAMILIES
from secateur.registry import DATASETS, METHODS, MODELS
from secateur.study import presets


def lines(*arguments: str) -> list[str]:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("models", list(MODELS)),
        ("data", list(DATASETS)),
        ("studies", presets.names()),
    ],
)
def test_every_name_has_a_line_that_says_what_it_is(command: str, names: list[str]) -> None:
    listed = lines(command)
    assert [line.split()[0] for line in listed] == names
    assert all(len(line.split()) > 3 for line in listed)
    assert not any("None" in line for line in listed)


def test_methods_stand_in_their_groups() -> None:
    groups = "\n".join(lines("methods")).split("\n\n")
    assert [group.splitlines()[0] for group in groups] == list(FAMILIES.values())
    for family, group in zip(FAMILIES, groups, strict=True):
        listed = [line.split()[0] for line in group.splitlines()[1:]]
        assert listed == [name for name in METHODS if METHODS[name].family == family]


def test_methods_name_their_papers() -> None:
    assert "Liu et al. 2017" in next(line for line in lines("methods") if "slimming" in line)


def test_a_study_is_printed_as_it_stands() -> None:
    done = CliRunner().invoke(app, ["studies", "demo"])
    assert done.stdout == presets.text("demo")


def test_an_unknown_study_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'demo'"):
        CliRunner().invoke(app, ["studies", "demoo"], catch_exceptions=False)
