"""Reports: every time in its column, what runs, and why the rest runs in torch."""

import pytest
import torch
from torch import nn

import secateur


def test_what_the_kernels_do_not_know_is_named() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 4), nn.GELU())
    engine = secateur.compile(net, torch.ones(3, 4), seconds=0)
    assert "Runs in torch: aten.gelu (2 times): no kernel." in str(engine)


def test_the_report_shows_each_layer_and_the_choice(engine) -> None:
    lines = str(engine).splitlines()
    assert "Nx2x5x5" in lines[0]
    (first,) = [line for line in lines if line.startswith("batch 1 ")]
    assert first.split()[2:4] == ["weight", "zeros"]
    rows = [line for line in lines if line.startswith("4 ")]
    assert len(rows) == 2
    assert all(row.split()[1] == "3x36" for row in rows)
    wholes = [line.split()[-2] for line in lines if line.startswith("whole")]
    assert wholes == [choice.backend for choice in engine.choices.values()]
    assert repr(engine).startswith("<Engine for 2x5x5, by batch 1: ")
