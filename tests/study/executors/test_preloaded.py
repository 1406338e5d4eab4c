"""What the server of the runs imports before it forks any."""

import importlib
import os
import sys

import pytest

from secateur.study.executors import preloaded


def test_a_server_that_is_started_meanwhile_imports_the_modules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with preloaded.preloading(["no_such_module_here", "colorsys"]):
        importlib.reload(preloaded)  # as the server does, which has this environment
    assert "colorsys" in sys.modules
    assert not [name for name in os.environ if name.startswith("SECATEUR_PRELOAD")]


def test_any_other_process_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    importlib.reload(preloaded)
    assert "colorsys" not in sys.modules
