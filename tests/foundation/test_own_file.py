import json

import pytest
import torch

import secateur
from secateur.foundation.own_file import is_own_file


@pytest.mark.parametrize(
    ("file", "own"),
    [
        (__file__, True),
        ("mynets.py", True),
        ("<stdin>", True),
        ("<string>", False),
        ("<frozen importlib._bootstrap>", False),
        (json.__file__, False),
        (torch.__file__, False),
        (secateur.__file__, False),
    ],
)
def test_whose_a_file_is(file: str, own: bool) -> None:
    assert is_own_file(file) is own
