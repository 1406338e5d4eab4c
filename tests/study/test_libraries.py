"""What every run of a study imports, as the sweep's process sees it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secateur.spec import StudySpec
from secateur.study.job import Setup
from secateur.study.libraries import libraries_of


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, ...]]:
    """The libraries of a study whose own files have these texts."""

    def found(texts: dict[str, str], **settings: Any) -> tuple[str, ...]:
        monkeypatch.syspath_prepend(tmp_path)
        for name, text in texts.items():
            monkeypatch.delitem(sys.modules, name, raising=False)
            (tmp_path / f"{name}.py").write_text(text)
        for name in texts:
            __import__(name)
        study = StudySpec.model_validate({"methods": {"dense": {}}, **settings})
        return libraries_of([Setup(study, tmp_path)] * 2)

    return found


def test_a_study_of_classes_and_reference_nets_needs_none(
    found: Callable[..., tuple[str, ...]],
) -> None:
    assert found({}) == ()


def test_what_the_users_files_import_is_found_however_deep(
    found: Callable[..., tuple[str, ...]],
) -> None:
    near = "import csv\nimport torch\nimport own_far\nfrom rich.table import Table\nOF_MINE = 1\n"
    far = "import own_near\nfrom safetensors import numpy\nfrom packaging import version as v\n"
    texts = {"own_near": near, "own_far": far}
    assert found(texts, model="own_near:net") == (
        *("packaging.version", "rich.table", "safetensors.numpy"),
    )


def test_a_task_names_what_it_measures_with_unless_the_user_measures(
    found: Callable[..., tuple[str, ...]],
) -> None:
    text = "def evaluate(model, split):\n    return {'loss': 1.0}\n"
    assert found({}, task="regression") == ("torchmetrics",)
    own = {"evaluate": "own_measure:evaluate", "quality": {"loss": "lower"}}
    assert found({"own_measure": text}, task="regression", **own) == ()
