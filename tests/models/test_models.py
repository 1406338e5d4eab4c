"""The tests of `secateur.models` itself: `build`."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from secateur.errors import ModelError, UnknownNameError
from secateur.models import build
from secateur.registry import MODELS

SOURCE = """
from torch import nn

def full(shape, classes, hidden=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0], hidden), nn.Linear(hidden, classes))

def only_classes(classes):
    return nn.Linear(3, classes)

def nothing():
    return nn.Identity()

def anything(**given):
    net = nn.Identity()
    net.given = given
    return net

def broken(shape, classes):
    raise RuntimeError("two\\nlines")

def text():
    return "net"

constant = 3
"""


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets_of_a_user.py").write_text(SOURCE)
    (tmp_path / "nets_that_fail.py").write_text("import no_such_thing_at_all")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "nets_of_a_user", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_net_is_built_for_another_shape(name: str) -> None:
    net = build(name, (2, 18, 20), 3)
    net.eval()
    assert net(torch.zeros(1, 2, 18, 20)).shape == (1, 3)


@pytest.mark.parametrize("name", MODELS)
def test_every_registered_net_has_gradients_everywhere(name: str) -> None:
    net = build(name, (1, 16, 16), 3)
    net(torch.rand(2, 1, 16, 16)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights(name: str) -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(torch.cat([p.flatten() for p in build(name, (1, 16, 16), 2).parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet20'"):
        build("resnet2", (3, 32, 32), 10)


def test_too_small_an_image_is_told_as_it_is() -> None:
    with pytest.raises(ModelError, match="at least 3x10x10") as caught:
        build("conv4", (3, 9, 9), 10)
    assert caught.value.__cause__ is None


def test_an_option_that_a_reference_net_does_not_have() -> None:
    with pytest.raises(ModelError, match=r"building conv4: .*depth") as caught:
        build("conv4", (3, 25, 25), 5, depth=3)
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_users_function_gets_what_it_can_take(users_folder: Path) -> None:
    net = build("nets_of_a_user:full", (4, 1, 1), 3, hidden=7)
    assert [tuple(parameter.shape) for parameter in net.parameters()] == [
        (7, 4),
        (7,),
        (3, 7),
        (3,),
    ]
    assert isinstance(build("nets_of_a_user:only_classes", (4, 1, 1), 3), nn.Linear)
    assert isinstance(build("nets_of_a_user:nothing", (4, 1, 1), 3), nn.Identity)
    given = build("nets_of_a_user:anything", (4, 1, 1), 3, depth=2).given
    assert given == {"shape": (4, 1, 1), "classes": 3, "depth": 2}


def test_the_import_path_is_left_as_it_was(users_folder: Path) -> None:
    before = list(sys.path)
    build("nets_of_a_user:nothing", (4, 1, 1), 3)
    with pytest.raises(ModelError):
        build("no_such_module:net", (4, 1, 1), 3)
    assert sys.path == before


@pytest.mark.parametrize(
    ("path", "message", "cause"),
    [
        ("no_such_module:net", "module 'no_such_module' is not importable", ModuleNotFoundError),
        ("nets_that_fail:net", "ModuleNotFoundError: .*no_such_thing_at_all", ModuleNotFoundError),
        (":net", "is ':net', expected package.module:function", None),
        ("nets_of_a_user:ful", "'ful' in 'nets_of_a_user' is missing", None),
        ("nets_of_a_user:", "is 'nets_of_a_user:', expected package.module:function", None),
        ("nets_of_a_user.py:full", "Did you mean 'nets_of_a_user:full'", ModuleNotFoundError),
        ("nets_of_a_user:constant", "'constant' in 'nets_of_a_user' is a int", None),
        ("nets_of_a_user:broken", r"failing \(RuntimeError: two lines\)", RuntimeError),
        ("nets_of_a_user:text", "what the builder returns is a str, expected an nn.Module", None),
    ],
)
def test_what_goes_wrong_is_one_line_with_its_cause(
    users_folder: Path, path: str, message: str, cause: type[Exception] | None
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        build(path, (4, 1, 1), 3)
    assert "\n" not in str(caught.value)
    if cause is None:
        assert caught.value.__cause__ is None
    else:
        assert isinstance(caught.value.__cause__, cause)


def test_an_option_that_a_users_function_does_not_take(users_folder: Path) -> None:
    with pytest.raises(ModelError, match="unexpected keyword argument 'depth'"):
        build("nets_of_a_user:nothing", (4, 1, 1), 3, depth=2)
