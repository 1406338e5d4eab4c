"""The guide's page for a first own study, followed to the letter from its files to its page."""

import base64
import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import secateur

PAGE = (Path(__file__).parents[1] / "docs" / "first-study.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r":caption: (\S+)\n:name: \S+\n\n(.*?)^```$", PAGE, re.S | re.M))
COMMANDS = re.findall(r"^\$ secateur (.*)$", PAGE, re.M)


def secateur_command(folder: Path, *arguments: str) -> str:
    # As it is installed: `python -m secateur` would find the files of this folder by itself.
    done = subprocess.run(
        [str(Path(sys.executable).with_name("secateur")), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_step_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        # As written, but for one seed and no more epochs than it takes to see that it works.
        short = re.sub(r"_epochs = [1-9]\d*", "_epochs = 3", text)
        (tmp_path / name).write_text(short.replace("seeds = 2", "seeds = 1"))
    (make,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.S | re.M)
    exec(make, {"__name__": "__main__"})

    said = {command: secateur_command(tmp_path, *shlex.split(command)) for command in COMMANDS}
    assert "RMSE" in said["frontier runs/first"]
    assert "Pick" in said["frontier runs/first --within 0.5"]
    page = (tmp_path / "runs/first/report.html").read_text()
    packed = re.search(r"H4sI[A-Za-z0-9+/=]+", page)
    assert packed is not None
    values = json.loads(gzip.decompress(base64.b64decode(packed[0])))
    assert {point["method"] for point in values["points"]} == {
        *("magnitude", "l1-filter", "random-filter", "dense")
    }

    monkeypatch.syspath_prepend(tmp_path)
    import readings  # type: ignore[import-not-found]

    net = secateur.load(
        tmp_path / "runs/first/exports/l1-filter-0.5-0.safetensors",
        readings.build,
    )
    assert net(torch.zeros(2, 8)).shape == (2,)
    assert net.layers[0].out_features < 64

    torch.save(readings.build((8,)).state_dict(), "weights.pt")
    secateur_command(tmp_path, "sweep", "trained.toml", "--quiet", "--no-timing")
    assert "given, 0+0+0=0" in secateur_command(tmp_path, "frontier", "runs/trained")


def test_the_page_names_every_file_and_command() -> None:
    assert FILES.keys() == {"readings.py", "first.toml", "trained.toml"}
    assert [command.split()[0] for command in COMMANDS] == [
        *("sweep", "frontier", "frontier", "export")
    ]
