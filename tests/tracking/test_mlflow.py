"""What MLflow shows is compared with the store in test_observer.py."""

import sys

import pytest

from secateur.errors import UsageError
from secateur.tracking.mlflow import MlflowTracker


def test_without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[track\]'"):
        MlflowTracker()
