"""A study whose network acts up in its workers when it is told to; see `faulty_net`."""

from pathlib import Path
from typing import Any

from secateur.spec import StudySpec
from secateur.study.store import Store
from secateur.study.sweep import run_study
from secateur.training.fit import stream

from .inline import Notes

TEXT = Path(__file__).with_name("faulty_net.py").read_text()
SETTINGS: dict[str, Any] = {
    "name": "faulty",
    "model": "faulty:net",
    "data": {"name": "shapes", "options": {"train": 32, "val": 8, "test": 8, "size": 8}},
    "levels": [0.3],
    "training": {"base_epochs": 1, "retrain_epochs": 1},
    "methods": {"magnitude": {}},
}


def sweep(folder: Path, notes: Notes | None = None, **options: Any) -> Notes:
    notes = notes or Notes()
    settings = {**SETTINGS, **options.pop("settings", {})}
    spec = StudySpec.model_validate(settings)
    options = {"workers": 2, "threads": 1, "timing": False, **options}
    run_study(spec, folder, observer=notes, device="cpu", **options)
    return notes


def seed_of(seed: int, depth: int) -> str:
    return str(stream(stream(seed, "train", depth), "dropout"))


def done_once(folder: Path) -> int:
    """How many runs have been done, none of them twice."""
    done = [digest for digest, how in Store(folder).attempts() if how == "done"]
    assert len(done) == len(set(done))
    return len(done)
