import sys

import pytest

from secateur.errors import UsageError
from secateur.report.style import GREY, styled, styles


def test_controls_are_grey_and_dashed() -> None:
    found = styles(
        ["combined", "magnitude", "random-filter", "scratch"], ["random-filter", "scratch"]
    )
    assert [style.colour == GREY for style in found.values()] == [False, False, True, True]
    assert [style.dash == "-" for style in found.values()] == [True, True, False, False]
    assert found["random-filter"].dash != found["scratch"].dash


def test_many_methods_never_look_the_same() -> None:
    found = styles([f"method-{i:02}" for i in range(12)], ())
    assert len({(style.colour, style.marker) for style in found.values()}) == 12


def test_the_users_settings_come_back() -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red"}):
        with styled():
            assert matplotlib.rcParams["font.size"] == 8.5
            assert matplotlib.rcParams["axes.facecolor"] == "white"
        assert matplotlib.rcParams["font.size"] == 20


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"Run `pip install 'secateur\[report\]'`"), styled():
        pass
