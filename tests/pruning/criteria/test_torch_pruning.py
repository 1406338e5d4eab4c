"""Equality with Torch-Pruning 1.6.1 where both define the same; see benchmarks/criteria.md."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
ALIKE = ["magnitude", "l2", "lamp", "fpgm", "taylor-gate", "snip", "scale"]


@pytest.fixture(scope="module")
def benchmark() -> Any:
    pytest.importorskip("torch_pruning")
    sys.path.append(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("criteria_benchmark", BENCHMARKS / "criteria.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclass looks for its annotations
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("criterion", ALIKE)
def test_the_same_scores(criterion: str, benchmark: Any) -> None:
    row = next(row for row in benchmark.ROWS if row.criterion == criterion)
    worst, alike = benchmark.compare(row, runs=3)
    assert worst < 1e-4  # theirs are in float32
    assert alike == 3
