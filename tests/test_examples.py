"""Every example runs, at small size, as its reader would run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
SMALL = {**os.environ, "SECATEUR_SMALL": "1", "OMP_NUM_THREADS": "1"}
NEEDS = {"serve.py": "onnxruntime", "transformer.py": "transformers"}

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LAUNCHED = {"data_parallel.py": TORCHRUN}

EXPECTED = {
    "data_parallel.py": "shards, rank 1: 2938 exact zeros",
    "own_loop.py": "loaded again with the same answers",
    "own_study.py": "Pick for a validation accuracy of at least",
    "serve.py": "onnxruntime, batch 16:",
    "transformer.py": "loaded again, the same bits: True",
}

RUN_NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
settings = {"metadata": {"path": "."}}
NotebookClient(notebook, timeout=240, startup_timeout=240, resources=settings).execute()
nbformat.write(notebook, "run.ipynb")
"""


def run(folder: Path, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=SMALL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_there_are_three_scripts_and_a_notebook():
    assert len(SCRIPTS) >= 3
    assert NOTEBOOKS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script(script, tmp_path):
    if script.name in NEEDS:
        pytest.importorskip(NEEDS[script.name])
    warned = LAUNCHED.get(script.name, ["-W", "error"])
    told = run(tmp_path, *warned, script, tmp_path / "out")
    assert EXPECTED[script.name] in told


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook(notebook, tmp_path):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    run(tmp_path, "-c", RUN_NOTEBOOK, notebook)
    made = json.loads((tmp_path / "run.ipynb").read_text())
    outputs = [output for cell in made["cells"] for output in cell.get("outputs", ())]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert {"image/png", "image/svg+xml", "text/html"} <= shown
    assert "points, 0 failures" in json.dumps(outputs)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_kept_with_outputs_that_are_small(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    outputs = [cell.get("outputs") for cell in cells if cell["cell_type"] == "code"]
    assert sum(map(bool, outputs)) >= len(outputs) - 1
    assert "error" not in {output["output_type"] for each in outputs for output in each}
    assert notebook.stat().st_size < 400_000
