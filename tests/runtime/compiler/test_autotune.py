"""Choosing: whatever can run a network is measured, what is wrong is left out, the rest decides."""

import pytest
import torch
from torch import Tensor, nn

import secateur
from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.autotune import Chooser
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.choice import FOLDED, LAYERS, ONNX, TORCH
from secateur.runtime.compiler.folding import folded
from secateur.runtime.compiler.planner import Planner
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.wholes import Wholes
from secateur.runtime.kernels import library

needs_kernels = pytest.mark.skipif(not library.available(), reason="no native kernels here")


def chooser(*, zeros: bool, threads: int = 1) -> Chooser:
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).eval()
    net.requires_grad_(False)
    if zeros:
        net[0].weight[1:] = 0
    example = torch.randn(2, 2, 5, 5)
    trial = Trial(net, example)
    planner = Planner(folded(capture(net, example)), threads=threads, seconds=0)
    return Chooser(trial, Wholes(trial, None, threads), planner, threads=threads, seconds=0)


def test_the_plan_with_the_lowest_third_quartile_is_taken() -> None:
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))
    net[0].weight.detach()[8:] = 0
    for choice in secateur.compile(
        net, torch.zeros(64, 64), threads=1, batches=[16, 64], seconds=0
    ).choices.values():
        quartiles = {name: timing.q3 for name, timing in choice.timings.items()}
        assert len(quartiles) > 1
        best = 1.05 * min(
            choice.timings[name].median for name in (TORCH, ONNX, FOLDED) if name in quartiles
        )
        kept = [q for n, q in quartiles.items() if choice.timings[n].median <= best]
        assert quartiles[choice.backend] == min(kept)


def test_the_network_as_it_was_given_is_always_measured() -> None:
    choice = chooser(zeros=True).choose(2)
    assert {TORCH, FOLDED} <= set(choice.timings)
    assert not library.available() or LAYERS in choice.timings
    assert not onnx.available() or ONNX in choice.timings


def test_what_gives_another_output_is_left_out_and_the_rest_is_measured(monkeypatch) -> None:
    def wrong(_self: object, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :3]

    monkeypatch.setattr("secateur.runtime.compiler.plan.Plan.__call__", wrong)
    choice = chooser(zeros=True).choose(2)
    assert "another output" in choice.left_out[FOLDED]
    assert set(choice.timings) <= {TORCH, LAYERS, ONNX}
    assert set(choice.timings).isdisjoint(choice.left_out)


@pytest.mark.skipif(not onnx.available(), reason="needs ONNX Runtime")
def test_other_engines_keep_the_cores_to_themselves_only_when_they_are_taken(monkeypatch) -> None:
    seen = []

    class Recorded(onnx.OnnxSegment):
        def __init__(self, *args, spins: bool, **kwargs) -> None:
            seen.append(spins)
            super().__init__(*args, spins=spins, **kwargs)

    monkeypatch.setattr(onnx, "OnnxSegment", Recorded)
    monkeypatch.setattr("secateur.runtime.compiler.autotune.fastest", lambda *_: TORCH)
    chooser(zeros=False, threads=2).choose(1)
    assert not any(seen)
    monkeypatch.setattr("secateur.runtime.compiler.autotune.fastest", lambda *_: ONNX)
    seen.clear()
    chooser(zeros=True, threads=2).choose(1)
    assert seen[-1] is True
    assert not any(seen[:-1])
