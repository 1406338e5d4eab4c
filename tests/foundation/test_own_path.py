import pytest

from secateur.foundation.own_path import did_you_mean, meant_path


@pytest.mark.parametrize(
    "written",
    [
        "mynets.py:build", "./mynets:build", "..mynets:build", "mynets.build", "mynets/build",
        "mynets:build()", "mynets: build", " mynets:build", "mynets:build:0", "mynets.py/build",
        ".\\mynets.py:build",
    ],
)  # fmt: skip
def test_a_slip_of_the_pen_is_seen(written: str) -> None:
    assert meant_path(written) == "mynets:build"
    assert did_you_mean(written) == "Did you mean 'mynets:build'? "


@pytest.mark.parametrize(
    "written",
    [
        "mynets:build", "a.b:C.make", "mynets", "mynets.py", "weights.pt", "conv-4", "", ":", ":a",
        "a:", "lenet-5.1", "\ud800:a", "a\0:b", "\x1b[2J:a", "1:2", "\u00e9t\u00e9:\u00e9",
    ],
)  # fmt: skip
def test_what_is_none_or_one_already_is_let_be(written: str) -> None:
    assert meant_path(written) == did_you_mean(written) == ""
