"""A sweep that is stopped, or whose clock goes back: it goes on, to the same points."""

import os
import signal
import time
from pathlib import Path

import pytest

from secateur.cli.stopping import terminable
from secateur.study.damage import DamageWarning
from secateur.study.plan import Run
from secateur.study.store import Store

from .inline import Notes, files, points, sweep


@pytest.mark.usefixtures("_inline")
@pytest.mark.parametrize(("sent", "after"), [(signal.SIGINT, 0), (signal.SIGTERM, 2)])
def test_a_signal_stops_it_and_the_next_sweep_goes_on(
    tmp_path: Path, swept: Path, sent: signal.Signals, after: int
) -> None:
    class Stopping(Notes):
        def started(self, run: Run) -> None:
            if len(self.ends) == after:
                os.kill(os.getpid(), sent)

    with pytest.raises(KeyboardInterrupt), terminable():
        sweep(tmp_path / "run", Stopping())
    outcomes = [how for _, how in Store(tmp_path / "run").attempts()]
    assert outcomes == [*["done"] * after, None]
    assert len(sweep(tmp_path / "run").ends) == 5 - after
    done = [digest for digest, how in Store(tmp_path / "run").attempts() if how == "done"]
    assert len(done) == len(set(done)) == 5
    assert points(tmp_path / "run") == points(swept)
    assert files(tmp_path / "run") == files(swept)


def test_a_clock_that_goes_back_changes_no_point(
    run_folder: Path, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2e9]

    def back() -> float:
        now[0] -= 3600
        return now[0]

    for name in list(files(run_folder))[:2]:
        (run_folder / "points" / name).unlink()
    monkeypatch.setattr(time, "time", back)
    with pytest.warns(DamageWarning, match="2 finished runs"):
        assert len(sweep(run_folder).ends) == 2
    assert sweep(run_folder).ends == []
    assert points(run_folder) == points(swept)
    assert files(run_folder) == files(swept)
