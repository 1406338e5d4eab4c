"""What TensorBoard shows is compared with the store in test_observer.py."""

import sys

import pytest

from secateur.errors import UsageError
from secateur.tracking.tensorboard import TensorBoardTracker


def test_without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[track\]'"):
        TensorBoardTracker()
