"""Benchmark: every row is there, and says honestly what it can."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from secateur.artifact.bench import Row, bench
from secateur.artifact.save import save
from secateur.errors import ArtifactError, UnknownNameError
from secateur.measure.latency import Timing


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512))


def narrow() -> nn.Module:
    return nn.Sequential(nn.Linear(512, 2), nn.ReLU(), nn.Linear(2, 512))


def row(pruned: tuple[float, float, float], dense: tuple[float, float, float] | None) -> Row:
    def timing(q: tuple[float, float, float]) -> Timing:
        return Timing(9, q[1], q[0], q[2])

    return Row("torch", 1, 64, timing(pruned), timing(dense) if dense else None, None, None)


def test_a_ratio_is_noise_where_the_quartiles_overlap() -> None:
    assert not row((1, 2, 3), (4, 6, 8)).is_within_noise
    assert row((1, 2, 5), (4, 6, 8)).is_within_noise
    assert row((4, 6, 8), (1, 2, 4)).is_within_noise
    assert not row((4, 6, 8), (1, 2, 3)).is_within_noise
    assert not row((1, 2, 3), None).is_within_noise


def test_speedup_and_throughput() -> None:
    made = row((1, 2, 3), (4, 6, 8))
    assert (made.speedup, made.throughput) == (3, 32)
    assert row((1, 2, 3), None).speedup is None


def test_rows_for_every_engine_batch_and_thread_count(tmp_path: Path) -> None:
    save(narrow(), tmp_path / "x", example_inputs=torch.zeros(1, 512))
    made = bench(tmp_path / "x", build_model=wide, batches=(1, 32), repeats=5)
    assert [(r.engine, r.batch, r.threads) for r in made.rows] == [
        ("torch", 1, 1),
        ("onnxruntime", 1, 1),
        ("secateur", 1, 1),
        ("torch", 32, 1),
        ("onnxruntime", 32, 1),
        ("secateur", 32, 1),
    ]
    assert all(bool(r.pruned_plan) == bool(r.dense_plan) for r in made.rows)
    assert [bool(r.pruned_plan) for r in made.rows] == [False, False, True] * 2
    assert all(r.dense is not None and r.dense.n == r.pruned.n == 5 for r in made.rows)
    assert json.loads(json.dumps(made.to_dict()))["rows"][0]["engine"] == "torch"


def test_the_threads_of_torch_are_put_back(tmp_path: Path) -> None:
    save(narrow(), tmp_path / "x", example_inputs=torch.zeros(1, 512))
    before = torch.get_num_threads()
    bench(tmp_path / "x", build_model=wide, engines=["torch"], batches=[1], threads=[2], repeats=1)
    assert torch.get_num_threads() == before


def test_a_dense_file_is_loaded(tmp_path: Path) -> None:
    save(narrow(), tmp_path / "x", example_inputs=torch.zeros(1, 512))
    save(wide(), tmp_path / "dense")
    made = bench(
        tmp_path / "x",
        dense=tmp_path / "dense",
        build_model=wide,
        engines=["torch"],
        batches=[1],
        repeats=1,
    )
    assert made.rows[0].dense is not None


def test_an_input_of_unknown_shape_is_asked_for(tmp_path: Path) -> None:
    save(narrow(), tmp_path / "x")
    with pytest.raises(ArtifactError, match="Pass example="):
        bench(tmp_path / "x", build_model=wide)


def test_an_unknown_engine_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="torch"):
        bench(tmp_path / "none", engines=["tensorflow"])
