"""Choosing: what is measured decides, and what is steady."""

import pytest
import torch
from torch import nn

import secateur
from secateur.point import Timing
from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.autotune import LANES, ONNX, SERIAL, SPARSE, Chooser, fastest
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.folding import folded
from secateur.runtime.kernels import library

needs_kernels = pytest.mark.skipif(not library.available(), reason="no native kernels here")


def chooser(*, zeros: bool, threads: int) -> Chooser:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).eval()
    if zeros:
        net[0].weight.detach()[1:] = 0
    graph = folded(capture(net, torch.zeros(2, 2, 5, 5)))
    return Chooser(graph, threads=threads, seconds=0)


def test_the_plan_with_the_lowest_third_quartile_is_taken() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    net[0].weight.detach()[8:] = 0
    for choice in secateur.compile(
        net, torch.zeros(64, 64), batches=[16, 64], seconds=0
    ).choices.values():
        quartiles = {name: timing.q3 for name, timing in choice.timings.items()}
        assert len(quartiles) > 1
        assert quartiles[choice.backend] == min(quartiles.values())
        assert "sparse-serial" not in quartiles


def test_a_plan_that_is_held_up_now_and_then_is_not_taken() -> None:
    steady, stalling = Timing(5, 2e-4, 1.9e-4, 2.1e-4), Timing(5, 1e-4, 0.9e-4, 4e-3)
    assert fastest({"sparse-lanes": stalling, "torch": steady}) == "torch"


def test_what_one_thread_does_in_no_time_is_not_shared() -> None:
    brief, briefer, long, longer = (Timing(5, t, t, t) for t in (2e-4, 1e-4, 2e-3, 4e-3))
    assert fastest({"sparse": briefer, "sparse-serial": brief}) == "sparse-serial"
    assert fastest({"sparse": long, "sparse-serial": longer}) == "sparse"
    assert fastest({"sparse": briefer, "torch": brief}) == "sparse"
    assert fastest({"sparse": briefer, "sparse-serial": brief, "torch": briefer}) == "torch"


@needs_kernels
def test_which_plans_are_worth_measuring() -> None:
    assert {SPARSE, SERIAL, LANES}.isdisjoint(chooser(zeros=False, threads=2).backends(1))
    assert {SPARSE, SERIAL} <= set(chooser(zeros=True, threads=2).backends(1))
    assert SERIAL not in chooser(zeros=True, threads=1).backends(1)
    many = chooser(zeros=True, threads=2).backends(64)
    assert LANES in many
    assert SERIAL not in many


@pytest.mark.skipif(not onnx.available(), reason="needs ONNX Runtime")
def test_other_engines_keep_the_cores_to_themselves_only_when_they_are_taken(monkeypatch) -> None:
    seen = []

    class Recorded(onnx.OnnxSegment):
        def __init__(self, *args, spins: bool, **kwargs) -> None:
            seen.append(spins)
            super().__init__(*args, spins=spins, **kwargs)

    monkeypatch.setattr(onnx, "OnnxSegment", Recorded)
    chooser(zeros=False, threads=2).choose(torch.zeros(1, 2, 5, 5))
    assert seen[0] is False
    monkeypatch.setattr("secateur.runtime.compiler.autotune.fastest", lambda _: ONNX)
    seen.clear()
    chooser(zeros=True, threads=2).choose(torch.zeros(1, 2, 5, 5))
    assert seen[-1] is True
    assert not any(seen[:-1])
