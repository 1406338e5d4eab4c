"""Engines in words: each that there is, and what a level says where its seeds differ."""

from dataclasses import replace

import pytest
from study_points import point

from secateur.point import Latency
from secateur.report.engines import engine_words, engines_at
from secateur.runtime.compiler.choice import BACKENDS, DENSE
from secateur.study.aggregate import replicates


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_engine_is_one_that_a_reader_knows(backend: str) -> None:
    words = engine_words(f"secateur-{backend}")
    dense = words.startswith(("PyTorch", "ONNX Runtime"))
    assert dense == (backend in (*DENSE, "torch-csr"))
    assert dense or words == "secateur's sparse engine"


def timed(seed: int, *engines: str):
    times = [Latency(5, 1 + n, 1, 9, engine, 1, 1) for n, engine in enumerate(engines)]
    return replace(point("magnitude", 0, seed, 0.5, 1800), latency=tuple(times))


def test_a_level_names_the_engine_that_is_fastest_for_it() -> None:
    (level,) = replicates([timed(0, "torch-eager", "secateur-sparse")])
    assert engines_at(level, 1) == "PyTorch"
    assert engines_at(level, 64) == ""
    (level,) = replicates([timed(0, "torch-eager"), timed(1, "secateur-sparse")])
    assert engines_at(level, 1) == "PyTorch or secateur's sparse engine"
    (level,) = replicates([timed(0, "torch-eager"), timed(1)])
    assert engines_at(level, 1) == ""
