"""`secateur inspect`: the table, the totals and the JSON."""

import json
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import secateur
import secateur.cli.inspect
from secateur.artifact.save import save
from secateur.channels import compact_with_record
from secateur.cli.app import app


def invoke(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    if done.exception is not None:
        raise done.exception
    return done.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2)).eval()
    example = torch.zeros(1, 1, 4, 4)
    masks = secateur.prune(net, "l1-filter", sparsity=0.5, scope="conv", example_inputs=example)
    compaction = compact_with_record(net, masks, example)
    path = tmp_path / "net.safetensors"
    save(
        compaction.model,
        path,
        masks,
        {"val": {"part": 1, "total": 4}, "loss": 0.5},
        dense=net,
        kept=compaction.kept,
        example_inputs=example,
        source="[red]mine:net",
    )
    return path


def test_a_layer_has_its_shapes_channels_and_multiplications(file: Path) -> None:
    lines = invoke("inspect", file).splitlines()
    conv = next(line.split() for line in lines if "Conv2d" in line)
    assert conv == ["0", "Conv2d", "4x1x3x3", "→", "2x1x3x3", "2/4", "20", "0", "72", "80"]
    linear = next(line.split() for line in lines if "Linear" in line)
    assert linear == ["3", "Linear", "2x16", "→", "2x8", "2/2", "18", "0", "16", "72"]


def test_the_totals_say_shares_with_their_counts(file: Path) -> None:
    said = invoke("inspect", file)
    assert "parameters  38 of 74 before channels went" in said
    assert "conv sparsity  0.0000 (0 of 18)" in said
    assert "MACs  88, 88 of them non-zero" in said
    assert "masks  0.5000 (20 of 40) pruned" in said
    assert "metrics  val 0.2500 (1 of 4), loss 0.5" in said
    assert "every byte checked" in said


def test_the_json_holds_every_count(file: Path) -> None:
    found = json.loads(invoke("inspect", file, "--json"))
    assert found["totals"]["dense_parameters"] == 74
    assert found["bytes"] == file.stat().st_size
    assert found["layers"][0]["tensors"][1]["kept"] == {"0": 2}


def test_names_are_no_markup(tmp_path: Path) -> None:
    net = nn.ModuleDict({"[red]x[/red]": nn.Linear(2, 2)})
    save(net, tmp_path / "net.safetensors")
    assert "[red]x[/red]" in invoke("inspect", tmp_path / "net.safetensors")


def test_a_table_of_thousands_of_layers_is_cut_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secateur.cli.inspect, "_MOST_ROWS", 2)
    save(nn.Sequential(*(nn.Linear(2, 2) for _ in range(5))), tmp_path / "net.safetensors")
    said = invoke("inspect", tmp_path / "net.safetensors")
    assert said.count("2x2") == 2
    assert "... and 3 more layers: --json has all." in said
    assert len(json.loads(invoke("inspect", tmp_path / "net.safetensors", "--json"))["layers"]) == 5


def test_words_of_an_onnx_file_may_have_any_name(tmp_path: Path) -> None:
    words = dict.fromkeys(("source", "run", "metrics", "masks", "\x1b[2J"), "a\x1b[31m")
    identity = onnx.helper.make_node("Identity", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([identity], "g", value[:1], value[1:])
    proto = onnx.helper.make_model(graph)
    onnx.helper.set_model_props(proto, words)
    onnx.save(proto, tmp_path / "net.onnx")
    assert "onnx file" in invoke("inspect", tmp_path / "net.onnx")


def test_the_words_of_a_file_end_no_line(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    save(net, tmp_path / "net", run={"a\nb": "c\nd\x1b[2J"}, metrics={"e\x1bf": 1})
    said = invoke("inspect", tmp_path / "net").splitlines()
    assert said[-2:] == [r"run  'a\nb' 'c\nd\x1b[2J'", r"metrics  'e\x1bf' 1"]
