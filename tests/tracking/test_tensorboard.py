"""TensorBoard's own reader finds what the store holds."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secateur.errors import UsageError
from secateur.report.records import metrics, records
from secateur.study.store import Store
from secateur.study.study import CONTROLS
from secateur.tracking.tensorboard import TensorBoardTracker

SWEEP = ("sweep", "tiny.toml", "--out", "run", "--workers", "2", "--track", "tensorboard")


@pytest.fixture(scope="module")
def swept(track: Callable[..., Any]) -> Any:
    return track("tensorboard")


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def scalars(events: Any) -> dict[str, list[tuple[int, float]]]:
    """Every scalar as (step, value), in the order in which it was written."""
    from tensorboard.util.tensor_util import make_ndarray

    return {
        tag: [(each.step, make_ndarray(each.tensor_proto).item()) for each in events.Tensors(tag)]
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars"
    }


def folder_of(run: Path, digest: str) -> Path:
    (found,) = (run / "tensorboard").glob(f"*-{digest[:8]}")
    return found


def check(run: Path) -> None:
    store = Store(run)
    measured = {str(each["digest"]): each for each in records(store.points(), CONTROLS)}
    for each in store.trainings():
        shown = scalars(read(folder_of(run, each.digest)))
        for name in ("loss", "val_accuracy"):
            wanted = [(entry["epoch"], entry[name]) for entry in each.curve]
            assert shown.pop(f"epoch/{name}", []) == wanted
        record = measured.get(each.digest)
        final = {name: entries[-1] for name, entries in shown.items()}
        if record is None:
            assert final == {}
            continue
        step = record["cumulative_epochs"]
        assert final == {name: (step, value) for name, value in metrics(record).items()}


def test_every_number_is_the_stores(swept: Any) -> None:
    assert len(Store(swept.folder).points()) == 5
    check(swept.folder)


def test_what_made_a_run_stands_beside_it(swept: Any) -> None:
    point = Store(swept.folder).points()[1]
    events = read(folder_of(swept.folder, point.digest))
    (text,) = events.Tensors("made by/text_summary")
    words = text.tensor_proto.string_val[0].decode()
    for word in (point.digest, "| method | magnitude |", "| level | 0.4 |", "training.base_epochs"):
        assert word in words
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(events.summary_metadata)


def test_the_studys_figures_are_there(swept: Any) -> None:
    events = read(swept.folder / "tensorboard" / "study")
    assert "figures/test-accuracy-sparsity.png" in events.Tags()["images"]


def test_the_terminal_says_how_to_look(swept: Any) -> None:
    assert "TensorBoard: tensorboard --logdir run/tensorboard" in swept.said
    assert "Tracking with" not in swept.warned


def test_a_sweep_that_goes_on_writes_nothing_twice(swept: Any) -> None:
    before = sorted(path.name for path in (swept.folder / "tensorboard").iterdir())
    lost = Store(swept.folder).points()[1]
    Store(swept.folder).checkpoint(lost.digest).unlink()
    again = swept.bench.run(*SWEEP, "--levels", "0.4,0.6")
    assert again.returncode == 0, again.stderr
    after = sorted(path.name for path in (swept.folder / "tensorboard").iterdir())
    assert set(before) < set(after)
    check(swept.folder)


def test_without_tensorboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"pip install 'secateur\[track\]'"):
        TensorBoardTracker()
