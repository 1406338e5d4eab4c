"""A package outside the repository brings a criterion, a method, a metric and an executor.

It is a real wheel, installed by pip into a folder of its own, and used by the command.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

CODE = '''
import os

from secateur.pruning.method import Method, Part
from secateur.spec import MethodSpec
from secateur.study.executors.local import LocalExecutor
from secateur.study.metrics import own_metric


def note(what):
    with open(os.environ["EXTRAS_LOG"], "a") as log:
        log.write(f"{what} {os.getpid()}\\n")


def power_norm(parameter, rows, statistics):
    """The sum of the absolute weights, each to a power."""
    note("criterion")
    return rows.abs().double().pow(statistics.options["power"]).sum(dim=1)


class Options(MethodSpec):
    power: float = 1.0


METHOD = Method(
    name="power",
    summary="Weights by a power of their size.",
    source="made for a test",
    parts=(Part("power-norm", "weight", "all", "global"),),
    options=Options,
)


def largest(model, data, split):
    note("metric")
    return max(float(parameter.abs().max()) for parameter in model.parameters())


METRIC = own_metric("largest", largest, label="largest weight", unit="w")


class Noting(LocalExecutor):
    def start(self, job):
        note("executor")
        super().start(job)
'''

ENTRY_POINTS = """
[secateur.methods]
power = pruning_extras:METHOD

[secateur.criteria]
power-norm = pruning_extras:power_norm

[secateur.metrics]
largest-weight = pruning_extras:METRIC
"""

STUDY = """
model = "lenet-300-100"
data = {{ name = "shapes", options = {{ train = 64, val = 32, test = 32, size = 12 }} }}
levels = [0.5, 0.8]
training = {{ base_epochs = 1, retrain_epochs = 1 }}
metrics = ["{metric}"]
executor = "pruning_extras:Noting"
[methods."{method}"]
power = 2.0
[methods.dense]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip has installed the package."""
    folder = tmp_path_factory.mktemp("outside")
    wheel = folder / "pruning_extras-1.0-py3-none-any.whl"
    info = "pruning_extras-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("pruning_extras.py", CODE)
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: pruning-extras\nVersion: 1.0\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/entry_points.txt", ENTRY_POINTS)
        file.writestr(f"{info}/RECORD", "")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def secateur_command(site: Path, folder: Path, *arguments: str) -> str:
    paths = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", "secateur", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "EXTRAS_LOG": str(folder / "log")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("method", "metric"),
    [
        pytest.param("power", "largest-weight", id="entry points"),
        pytest.param("pruning_extras:METHOD", "pruning_extras:METRIC", id="module:name"),
    ],
)
def test_a_sweep_with_two_workers_uses_all_four(
    method: str, metric: str, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.toml").write_text(STUDY.format(method=method, metric=metric))
    sweep = ("sweep", "study.toml", "--out", "run", "--workers", "2", "--quiet", "--no-timing")
    secateur_command(site, tmp_path, *sweep)
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    counts = Counter(what for what, _ in lines)
    points = json.loads(secateur_command(site, tmp_path, "frontier", "run", "--json"))
    assert counts["executor"] == counts["metric"] == len(points) == 4
    assert counts["criterion"] == 2 * 3  # two levels, three weights
    (swept,) = {pid for what, pid in lines if what == "executor"}
    assert swept not in {pid for what, pid in lines if what != "executor"}

    assert {point["method"] for point in points} == {method, "dense"}
    assert all(point["metrics"]["largest"] > 0 for point in points)
    secateur_command(site, tmp_path, "export-table", "run", "--out", "points.csv")
    with (tmp_path / "points.csv").open() as file:
        rows = {row["digest"]: float(row["largest"]) for row in csv.DictReader(file)}
    assert rows == {point["digest"]: point["metrics"]["largest"] for point in points}
    assert "largest" in secateur_command(site, tmp_path, "frontier", "run")
    secateur_command(site, tmp_path, "figure", "run", "--x", "largest", "--out", "figure.svg")
    assert "largest weight" in (tmp_path / "figure.svg").read_text()

    before = (tmp_path / "log").read_text()
    secateur_command(site, tmp_path, *sweep)
    assert (tmp_path / "log").read_text() == before


def test_its_option_is_told_and_others_are_refused(site: Path, tmp_path: Path) -> None:
    told = secateur_command(site, tmp_path, "methods", "power")
    assert "power            1.0" in told or "power" in told.split("defaults:")[1]
    assert "pruning-extras" in told
    (tmp_path / "study.toml").write_text(
        STUDY.format(method="power", metric="largest-weight").replace("power = 2.0", "powr = 2.0")
    )
    with pytest.raises(AssertionError, match="Did you mean 'power'"):
        secateur_command(site, tmp_path, "sweep", "study.toml", "--out", "run")


def test_a_run_folder_that_names_a_module_imports_nothing(site: Path, tmp_path: Path) -> None:
    """The same folder is read where the package is not installed."""
    (tmp_path / "study.toml").write_text(
        STUDY.format(method="pruning_extras:METHOD", metric="pruning_extras:METRIC")
    )
    secateur_command(
        site, tmp_path, "sweep", "study.toml", "--out", "run", "--quiet", "--no-timing"
    )
    nowhere = tmp_path / "nowhere"
    for command in (("frontier", "run"), ("report", "run"), ("frontier", "run", "--json")):
        assert secateur_command(nowhere, tmp_path, *command)
    code = "import sys\nfrom secateur.cli import main\ntry:\n    main()\nfinally:\n"
    code += "    print('imported', 'pruning_extras' in sys.modules)"
    paths = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code, "frontier", "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "imported False" in done.stdout
