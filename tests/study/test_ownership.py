"""What is the user's own is told from what is Python's, installed or ours."""

import json
import sys
import types

import numpy
import pytest
import torch
from torch import nn

import secateur
from secateur.study.ownership import has_file, is_installed, is_mine, is_own


def mine() -> None:
    pass


@pytest.mark.parametrize(
    ("module", "own", "installed"),
    [
        (sys.modules[__name__], True, False),
        (types.ModuleType("made"), True, False),
        (json, False, False),
        (sys, False, False),
        (numpy, False, True),
        (torch, False, True),
        (secateur, False, False),
    ],
)
def test_whose_a_module_is(module: types.ModuleType, own: bool, installed: bool) -> None:
    assert (is_own(module), is_installed(module)) == (own, installed)


def test_what_can_be_imported_by_name() -> None:
    assert has_file(__name__)
    assert not has_file("__main__")
    assert not has_file("never.imported")


def test_whose_a_function_is() -> None:
    assert is_mine(mine)
    assert not is_mine(json.dumps)
    assert not is_mine(nn.functional.relu)
    assert not is_mine(nn.ReLU)
