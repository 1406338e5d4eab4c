import os
from operator import truediv

import pytest

from secateur.errors import ModelError, SpecError
from secateur.study.own_code import own_code


class Own(BaseException):
    pass


@pytest.mark.parametrize("error", [SystemExit(0), ValueError("no"), Own("no"), MemoryError()])
def test_what_the_users_own_code_raises_is_an_error_with_its_place(error: BaseException) -> None:
    words = rf"test_own_code.py, line \d+.*{type(error).__name__}"
    with pytest.raises(ModelError, match=words), own_code("preparing"):
        raise error


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SpecError("doing", "this", given="1", expected="2", remedy="Mend it.")],
)
def test_ctrl_c_and_our_own_errors_pass(error: BaseException) -> None:
    with pytest.raises(type(error)), own_code("preparing"):
        raise error


def test_an_error_of_ours_that_nobody_expected_passes() -> None:
    with pytest.raises(ModelError), own_code("preparing"):
        int("x")  # this file's line is the user's own
    with pytest.raises(ZeroDivisionError):
        own_code("preparing")(truediv)(1, 0)


def test_code_that_closes_what_is_not_its_own_is_told() -> None:
    """Only what the block itself has opened is closed here: the next two numbers."""
    before = len(os.listdir("/proc/self/fd"))
    first = os.dup(0)
    os.close(first)

    def careless() -> None:
        os.closerange(first, first + 2)

    with pytest.raises(ModelError, match="closing file descriptors"), own_code("preparing"):
        careless()
    with own_code("preparing"):
        pass
    assert len(os.listdir("/proc/self/fd")) == before
