from pathlib import Path

import pytest

from secateur.registry import EXECUTORS
from secateur.tuning.record import TuningRecord

from ..study.inline import Inline
from .small_search import search


@pytest.fixture
def _inline(_registered_for_one_test: None) -> None:
    EXECUTORS.add("inline", Inline)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TuningRecord]:
    """A search of four trials, made without an interruption: not to be written to."""
    pytest.importorskip("optuna")
    folder = tmp_path_factory.mktemp("searched") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXECUTORS, "_own", {**EXECUTORS.own, "inline": Inline})
        return folder, search(folder)
