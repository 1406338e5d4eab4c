"""Reports: every time in its column, what runs, and why the rest runs in torch."""

from textwrap import dedent

import pytest
import torch
from one_node import called, given, linear
from torch import nn

import secateur
from secateur.point import Timing
from secateur.runtime.compiler import Engine
from secateur.runtime.compiler.choice import Choice, LayerTimes
from secateur.runtime.compiler.graph import Graph, Node
from secateur.runtime.compiler.report import report
from secateur.runtime.compiler.trial import Trial

SPARSE = Timing(5, 40e-6, 30e-6, 50e-6)
TORCH = Timing(5, 1234.4e-6, 1e-3, 2000.6e-6)


@pytest.fixture
def kernels(monkeypatch) -> None:
    """Kernels, whether there are any or not."""
    monkeypatch.setattr("secateur.runtime.kernels.library.available", lambda: True)


def engine_of(graph: Graph | None, *choices: Choice, threads: int = 1, why: str = "") -> Engine:
    return Engine(
        {choice.batch: choice for choice in choices},
        trial=Trial(nn.Linear(4, 2), torch.zeros(1, 4)),
        threads=threads,
        fingerprint=b"",
        graph=graph,
        why_whole=why,
    )


def graph_of(*nodes: Node) -> Graph:
    return Graph((given(4), *nodes), (nodes[-1],))


@pytest.mark.usefixtures("kernels")
def test_every_time_is_in_its_column() -> None:
    first = linear(given(4), 10)
    first.weight = torch.ones(10, 4)
    first.weight[:, 1:] = 0
    first.name = "layers.first"
    last = linear(first, 2, share=0)
    layers = (
        LayerTimes(first, {"torch": 20e-6, "sparse": 5.4e-6}, "sparse"),
        LayerTimes(last, {}, "torch"),
    )
    timings = {"sparse": SPARSE, "mixed": TORCH, "torch": TORCH}
    one = Choice(1, "sparse", lambda x: x, timings, layers)
    many = Choice(64, "torch", lambda x: x, {"torch": TORCH})
    assert report(engine_of(graph_of(first, last), many, one, threads=2)) == dedent("""\
        Engine for Nx4, 2 threads; medians in µs, * what runs

        batch 1         weight   zeros  sparse  torch  mixed
        layers.first    10x4    75.00%       5     20      -  sparse
        linear          2x10     0.00%       -      -      -  torch
        whole                               40  1,234  1,234  sparse *
          3rd quartile                      50  2,001  2,001

        batch 64        weight  zeros  torch
        whole                          1,234  torch *
          3rd quartile                 2,001""")


@pytest.mark.usefixtures("kernels")
def test_what_runs_in_torch_is_named_with_its_reason_and_counted() -> None:
    first = linear(given(4), 4)
    gelu = called(torch.erf, first)
    again = called(torch.erf, gelu)
    other = called(torch.sin, again)
    other.why = "this form has no kernel"
    assert report(engine_of(graph_of(first, gelu, again, other))).splitlines()[1:] == [
        "",
        "Not on the kernels: erf (2 times): no kernel.",
        "Not on the kernels: sin: this form has no kernel.",
    ]


@pytest.mark.usefixtures("kernels")
def test_nothing_is_noted_where_all_has_kernels() -> None:
    made = report(engine_of(graph_of(linear(given(4), 2))))
    assert made == "Engine for Nx4, 1 thread; medians in µs, * what runs"


def test_no_kernels_at_all_are_noted(monkeypatch) -> None:
    monkeypatch.setattr("secateur.runtime.kernels.library.available", lambda: False)
    monkeypatch.setattr("secateur.runtime.kernels.library.why_not", lambda: "no compiler.")
    made = report(engine_of(graph_of(linear(given(4), 2))))
    assert made.splitlines()[-1] == "No sparse kernels: no compiler."


def test_a_net_that_is_no_graph_says_why() -> None:
    made = report(engine_of(None, why="it takes 2 tensors"))
    assert made.splitlines()[-1] == "The network runs in torch as it is: it takes 2 tensors."


def test_what_is_left_out_is_named_once_with_its_reason() -> None:
    why = {"onnxruntime": "torch.onnx: no such operator"}
    choices = [Choice(size, "torch", lambda x: x, left_out=why) for size in (1, 8)]
    lines = report(engine_of(None, *choices, why="it has a branch")).splitlines()
    assert lines[-2:] == [
        "The network runs in torch as it is: it has a branch.",
        "Left out: onnxruntime: torch.onnx: no such operator.",
    ]
    other = report(engine_of(None, Choice(1, "onnxruntime", lambda x: x), why="it has a branch"))
    assert other.splitlines()[-1] == "The network runs as a whole: it has a branch."


def test_what_the_kernels_do_not_know_is_named() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Mish(), nn.Linear(4, 4), nn.Mish())
    engine = secateur.compile(net, torch.ones(3, 4), seconds=0)
    assert "Not on the kernels: aten.mish (2 times): no kernel." in str(engine)


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
