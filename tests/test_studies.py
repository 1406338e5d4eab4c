"""The studies in examples/studies at a small size: killed, gone on with, and looked at."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from secateur.spec import read_study
from secateur.study.store import Store
from secateur.study.study import RunFolder

STUDIES = Path(__file__).parents[1] / "examples" / "studies"
SMALL = {
    "images": (
        {"seeds = 2": "seeds = 1", 'model = "conv4"': 'model = "lenet-5"',
         'data = "fashion-mini"':
         'data = { name = "shapes", options = { train = 200, val = 60, test = 60, size = 16 } }'},
        {"accuracy": True},
    ),
    "regression": ({"seeds = 3": "seeds = 1"}, {"rmse": False, "mae": False, "r2": True}),
    "time-series": ({"seeds = 3": "seeds = 1"}, {"accuracy": True}),
    "characters": (
        {'data = "characters:data"':
         'data = { name = "characters:data", options = { characters = 9000 } }',
         'model = "characters:net"':
         'model = { name = "characters:net", options = { width = 32, layers = 1 } }'},
        {"perplexity": False, "token_accuracy": True},
    ),
    "segmentation": (
        {'data = "segmentation:data"':
         'data = { name = "segmentation:data", options = { train = 32, val = 8, test = 8 } }'},
        {"miou": True, "pixel_accuracy": True},
    ),
    "detection": ({}, {"map50": True, "loss": False}),
    "bert": (
        {'data = "bert:data"': 'data = { name = "bert:data", options = { lines = 40 } }',
         'model = "bert:net"':
         'model = { name = "bert:net", options = { width = 16, layers = 1 } }'},
        {"accuracy": True},
    ),
}  # fmt: skip
OPTIONS = [
    "--base-epochs",
    "1",
    "--retrain-epochs",
    "1",
    "--levels",
    "0.5",
    "--methods",
    "magnitude,l1-filter,dense",
    "--workers",
    "1",
    "--threads",
    "1",
    "--no-timing",
]
EXPORTED = ("regression", "detection", "bert")
"""One of each way in: a table, a loop of one's own, inputs by name."""
SIZES = {"detection.py": ('1200, "val": 200, "test": 200', '48, "val": 8, "test": 8')}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the studies, each small."""
    made = Path(shutil.copytree(STUDIES, tmp_path / "studies"))
    for name, (before, after) in SIZES.items():
        text = (made / name).read_text()
        assert before in text
        (made / name).write_text(text.replace(before, after))
    return made


def command(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "secateur", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "240"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_after_one_run(folder: Path, name: str) -> set[str]:
    """Start a sweep, kill it once a run is done, and say which were."""
    with command(folder, "sweep", f"{name}.toml", "--out", "run", *OPTIONS) as sweep:
        deadline = time.monotonic() + 240
        while not (
            (folder / "run" / "study.sqlite").exists()
            and (done := Store(folder / "run").finished())
        ):
            assert sweep.poll() is None, sweep.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.communicate()
    return done


def test_every_study_is_here() -> None:
    assert {path.stem for path in STUDIES.glob("*.toml")} == SMALL.keys()


@pytest.mark.parametrize("name", SMALL)
def test_a_study_goes_on_after_a_kill(name: str, folder: Path) -> None:
    changes, metrics = SMALL[name]
    text = (folder / f"{name}.toml").read_text()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    (folder / f"{name}.toml").write_text(text)
    done = kill_after_one_run(folder, name)
    with command(folder, "sweep", f"{name}.toml", "--out", "run", *OPTIONS) as sweep:
        out, err = sweep.communicate(timeout=240)
    assert sweep.returncode == 0, err
    store = Store(folder / "run")
    attempts = [digest for digest, _ in store.attempts()]
    assert all(attempts.count(digest) == 1 for digest in done)
    points = store.points()
    assert {point.method for point in points} == {"magnitude", "l1-filter", "dense"}
    assert not any(point.latency for point in points)  # as it was asked
    for point in points:
        assert {one.metric: one.higher for one in point.scores} == metrics
    chooses = next(iter(metrics))
    assert ("accuracy" in out) == any("accuracy" in metric for metric in metrics)
    assert f"test-{chooses}-sparsity.png".replace("_", "-") in out
    assert (folder / "run" / "report.html").is_file()
    if name in EXPORTED:
        words = (
            "--point",
            "magnitude:0.5:0",
            "--study",
            f"{name}.toml",
            "--out",
            "one.safetensors",
        )
        with command(folder, "export", "run", *words) as export:
            said = export.communicate(timeout=120)
            assert (export.returncode, (folder / "one.safetensors").is_file()) == (0, True), said
    study = RunFolder(folder / "run")
    best = [point for level in study.frontier() for point in level.points]
    values = [point.val.value for point in points if not point.collapsed]
    if best:
        assert (max if metrics[chooses] else min)(values) in [point.val.value for point in best]


@pytest.mark.parametrize("name", SMALL)
def test_every_study_has_what_a_comparison_needs(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(STUDIES)
    study = read_study(STUDIES / f"{name}.toml")
    assert {"magnitude", "l1-filter", "dense"} <= study.methods.keys()
    assert any(method.startswith("random-") for method in study.methods)
