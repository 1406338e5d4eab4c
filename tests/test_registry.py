from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from secateur.errors import UnknownNameError, UsageError
from secateur.registry import ALLOCATIONS, CRITERIA, DATASETS, METHODS, MODELS, Registry

ALL = [ALLOCATIONS, CRITERIA, DATASETS, METHODS, MODELS]


ENTRIES = [
    pytest.param(registry, name, id=f"{registry.kind}-{name}")
    for registry in ALL
    for name in registry
]


@pytest.mark.parametrize(("registry", "name"), ENTRIES)
def test_every_entry_is_there(registry: Registry, name: str) -> None:
    entry = registry[name]
    assert registry[name] is entry
    if registry is METHODS:
        assert entry.name == name
    else:
        assert isinstance(entry, Callable)  # type: ignore[arg-type]
        assert entry.__doc__


def test_the_issues_names_are_registered() -> None:
    assert set(METHODS) >= {
        "magnitude",
        "l1-filter",
        "slimming",
        "combined",
        "random-weight",
        "random-filter",
        "dense",
        "scratch",
    }
    assert set(MODELS) >= {"conv4", "lenet-300-100", "lenet-5", "vgg16-bn", "vgg19-bn"}
    assert set(MODELS) >= {"resnet20", "resnet56"}
    assert set(DATASETS) >= {"fashion-mini", "fashion-mnist", "mnist", "cifar10", "shapes"}


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet20'"):
        MODELS["resnet2"]
    with pytest.raises(UnknownNameError, match="looking up a data set: the data set is 'mnits'"):
        DATASETS.check("mnits")


def test_a_table_of_ones_own() -> None:
    table = Registry("codec", {"b": "json:dumps", "a": "json:loads"})
    assert list(table) == ["b", "a"]
    assert len(table) == 2
    assert "b" in table
    assert "c" not in table
    assert 3 not in table
    assert table.check("a") == "a"


def test_a_users_own_entry() -> None:
    table = Registry("codec", {"a": "json:dumps"})
    mine = object()
    table.add("mine", mine)
    assert table["mine"] is mine
    assert list(table) == ["a", "mine"]
    assert len(table) == 2
    for taken in ("a", "mine"):
        with pytest.raises(UsageError, match=f"the name is '{taken}', which is taken"):
            table.add(taken, object())


def test_a_broken_entry_says_so_itself() -> None:
    with pytest.raises(UsageError, match="'no_such_module:b', which cannot be imported"):
        Registry("codec", {"a": "no_such_module:b"})["a"]


def test_words_are_read_without_torch() -> None:
    code = """
import sys
import secateur.errors, secateur.point, secateur.registry, secateur.spec
from secateur.spec import StudySpec
StudySpec.model_validate({"methods": {"magnitude": {}}, "model": "conv4", "data": "shapes"})
heavy = {"torch", "numpy", "scipy", "matplotlib", "lightning_fabric"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
