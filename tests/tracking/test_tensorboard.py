"""What TensorBoard shows is compared with the store in test_observer.py."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from secateur.errors import UsageError
from secateur.study.plan import Run
from secateur.tracking.tensorboard import TensorBoardTracker
from secateur.tracking.tracker import Result, Tracked


def test_without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[track\]'"):
        TensorBoardTracker()


def test_the_headlines_are_the_study_s_own_scores(tmp_path: Path) -> None:
    run = Run("d" * 16, "point", "magnitude", (0.5,), 0, 1, 0, {}, 1, {"base": 1})
    named = {"name": "x", "options": {}}
    settings = {"name": "s", "model": named, "data": named, "training": {}, "methods": {}}
    tracker = TensorBoardTracker()
    tracker.begin(Tracked(tmp_path, settings, (run,)))
    numbers = {"val_rmse": 52.5, "test_rmse": 53.5, "sparsity": 0.5, "conv_sparsity": 0.5}
    scores = ("val_rmse", "test_rmse")
    tracker.finish(run, Result(tmp_path, {**numbers, "macs": 7}, (), scores))
    (folder,) = (tmp_path / "tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    assert {name: events.Scalars(name)[0].value for name in numbers} == numbers
    assert "_hparams_/experiment" in events.summary_metadata
