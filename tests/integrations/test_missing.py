"""A library that is not installed is named, with what installs it."""

import importlib.machinery
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

import secateur
from secateur.errors import UsageError

FOLDER = Path(secateur.__file__).parent / "integrations"


@pytest.mark.parametrize(
    ("file", "hidden"),
    [("trainer.py", ["transformers"]), ("lightning.py", ["lightning", "pytorch_lightning"])],
)
def test_a_missing_library_is_named(
    file: str, hidden: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in hidden:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=rf"pip install 'secateur\[{hidden[0]}\]'"):
        runpy.run_path(str(FOLDER / file))


def test_the_callback_is_one_of_lightning_under_each_name_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = pytest.importorskip("pytorch_lightning")
    package, inside = ModuleType("lightning"), ModuleType("lightning.pytorch")
    package.__spec__ = importlib.machinery.ModuleSpec("lightning", None)
    inside.Callback = type("Callback", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lightning", package)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", inside)
    made = runpy.run_path(str(FOLDER / "lightning.py"))["PruningCallback"]
    assert made.__bases__[1:] == (inside.Callback, ours.Callback)
