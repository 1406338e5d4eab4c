"""A search in Python."""

from pathlib import Path
from typing import Any

import pytest

import secateur
from secateur.errors import SpecError, StoreError
from secateur.registry import EXECUTORS
from secateur.study import planned
from secateur.study.store import Store

from ..study.inline import Inline, data, net

pytest.importorskip("optuna")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, _registered_for_one_test: None) -> None:
    monkeypatch.setitem(EXECUTORS._own, "local", Inline)


def tune(folder: Path, **changes: Any) -> secateur.Tuning:
    asked = {"trials": 2, "base_epochs": 1, "workers": 1, "threads": 1, "out": folder}
    return secateur.tune(net, data(), **{**asked, "space": {"momentum": [0.5, 0.9]}, **changes})


def test_it_gives_what_was_found_and_consumed(tmp_path: Path) -> None:
    found = tune(tmp_path / "run", optimizer="sgd", methods="magnitude")
    assert len(found.trials) == 2
    assert found.epochs == sum(one.epochs for one in found.trials) >= 1
    assert found.best is not None
    assert found.best.settings["momentum"] in (0.5, 0.9)
    text = found.study_file.read_text()
    assert f"momentum = {found.best.settings['momentum']}" in text
    assert 'optimizer = "sgd"' in text
    assert "Given in Python, and to be given again: data" in text
    assert "consumed" in repr(found)
    assert "<table" in found._repr_html_()
    assert secateur.Tuning(tmp_path / "run").record == found.record


def test_a_folder_without_a_search_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        secateur.Tuning(tmp_path)
    with Store.writing(tmp_path / "run"):
        pass
    with pytest.raises(StoreError, match="secateur tune"):
        secateur.Tuning(tmp_path / "run")


@pytest.mark.parametrize("wrong", [{"what": "all"}, {"space": {"momentum": 3}}, {"out": 3}])
def test_what_cannot_be_is_told(
    tmp_path: Path, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned, "plan_study", None)
    with pytest.raises(SpecError):
        tune(tmp_path / "run", **wrong)
