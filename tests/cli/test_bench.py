"""`secateur bench`: the table and the JSON, on files of each kind."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from secateur import models
from secateur.artifact.export import export_onnx
from secateur.artifact.manifest import Source
from secateur.artifact.save import save
from secateur.cli.app import app
from secateur.cli.bench import HEADS
from secateur.errors import UnknownNameError, UsageError


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    net = models.build("lenet-300-100", (1, 8, 8), 3)
    save(net, path, source=Source(name="lenet-300-100", shape=[1, 8, 8], classes=3))
    return path


def test_every_engine_batch_and_thread_count_has_a_row(file: Path) -> None:
    options = ("--repeats", "2", "--batch", "1,3", "--threads", "1,1")
    said = invoke("bench", file, *options)
    rows = [
        line.split() for line in said.splitlines() if line.strip().startswith(("torch", "onnx"))
    ]
    assert said.count("secateur (") == 4
    assert [row[:3] for row in rows] == [
        [engine, "1", batch]
        for _ in range(2)
        for batch in "13"
        for engine in ("torch", "onnxruntime")
    ]
    assert "2 interleaved rounds" in said
    assert all(HEADS)
    assert [head for head in HEADS if head not in said] == [], said


def test_the_json_has_the_quartiles_and_the_machine(file: Path) -> None:
    made = json.loads(
        invoke("bench", file, "--repeats", "3", "--batch", "2", "--engines", "torch", "--json")
    )
    (row,) = made["rows"]
    assert row["pruned"]["q1"] <= row["pruned"]["median"] <= row["pruned"]["q3"]
    assert row["throughput"] == pytest.approx(2 / row["pruned"]["median"])
    assert made["environment"]["torch"] == torch.__version__


def test_an_onnx_file_runs_beside_another(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(models.build("lenet-300-100", (1, 8, 8), 3), torch.zeros(1, 1, 8, 8), path)
    made = json.loads(
        invoke("bench", path, "--dense", file, "--repeats", "2", "--batch", "1", "--json")
    )
    assert [row["engine"] for row in made["rows"]] == ["onnxruntime"]
    assert made["rows"][0]["dense"]["n"] == 2
    alone = json.loads(invoke("bench", path, "--repeats", "2", "--batch", "1", "--json"))
    assert alone["rows"][0]["dense"] is None
    assert alone["rows"][0]["speedup"] is None


def test_a_net_of_the_users_own_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benched.py").write_text(
        "from torch import nn\ndef net():\n    return nn.Linear(4, 2)"
    )
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.safetensors"
    save(torch.nn.Linear(4, 2), path, example_inputs=torch.zeros(1, 4), source="benched:net")
    options = ("--repeats", "2", "--batch", "1", "--engines", "torch")
    assert "torch" in invoke("bench", path, "--model", "benched:net", *options)
    with pytest.raises(UsageError, match="benched:net"):
        invoke("bench", path, *options)


@pytest.mark.parametrize("batch", ["", "0", "1,x", "-1"])
def test_a_batch_that_is_no_number_is_refused(file: Path, batch: str) -> None:
    with pytest.raises(UsageError, match="positive integers"):
        invoke("bench", file, "--batch", batch)


def test_an_unknown_engine_is_refused(file: Path) -> None:
    with pytest.raises(UnknownNameError, match="onnxruntime"):
        invoke("bench", file, "--engines", "onnxruntim")


@pytest.mark.parametrize(("name", "engines"), [("small", ","), ("small.onnx", "torch,secateur")])
def test_no_engine_is_no_empty_table(file: Path, tmp_path: Path, name: str, engines: str) -> None:
    path = file if name == "small" else tmp_path / name
    with pytest.raises(UsageError, match=r"expected .*onnxruntime.*: what this file can be run on"):
        invoke("bench", path, "--engines", engines)


def test_threads_by_the_thousand_are_refused_and_not_begun(file: Path) -> None:
    """OpenMP ends the process where the system has no more of them."""
    with pytest.raises(UsageError, match="threads is 99999, expected from 1 to"):
        invoke("bench", file, "--threads", "99999", "--engines", "torch")
