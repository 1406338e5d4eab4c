import time

import pytest

from secateur.spec import StudySpec
from secateur.study.plan import Run, plan


@pytest.fixture
def runs() -> tuple[Run, ...]:
    study = StudySpec.model_validate(
        {
            "methods": {"magnitude": {"levels": [0.5, 0.9]}},
            "training": {"base_epochs": 4, "retrain_epochs": 3},
        }
    )
    return plan(study, {"data": ""})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now
