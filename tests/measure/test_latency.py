from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import secateur.measure.latency as module
from secateur.errors import ModelError, UsageError
from secateur.measure.latency import Latency, Timing, compare, latency


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that stands still until a test moves it."""
    now = [0]
    monkeypatch.setattr(module, "perf_counter_ns", lambda: now[0])
    return now


class Watched(nn.Module):
    """Notes how it is run."""

    def __init__(self, notes: list[tuple[Tensor, tuple[bool, bool, int]]]) -> None:
        super().__init__()
        self.register_buffer("runs", torch.zeros(()))
        self.note = notes.append

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        self.note((x, (self.training, torch.is_grad_enabled(), torch.get_num_threads())))
        return x


def test_quartiles_in_seconds(clock: list[int]) -> None:
    durations: Iterator[int] = iter([99, 10, 50, 20, 40, 30])

    def run() -> None:
        clock[0] += next(durations) * 10**9

    assert compare({"run": run}, repeats=5, warmup=1) == {"run": Timing(5, 30.0, 20.0, 40.0)}


def test_rounds_are_interleaved_and_turn_back() -> None:
    order: list[str] = []
    timings = compare({name: lambda n=name: order.append(n) for name in "abc"}, repeats=3, warmup=1)
    assert "".join(order) == "abc" + "abc" + "cba" + "abc"
    assert list(timings) == ["a", "b", "c"]
    assert {timing.n for timing in timings.values()} == {3}


def test_each_run_is_timed_by_itself(clock: list[int]) -> None:
    def slow() -> None:
        clock[0] += 3_000

    def fast() -> None:
        clock[0] += 1_000

    timings = compare({"slow": slow, "fast": fast}, repeats=4)
    assert (timings["slow"].median, timings["fast"].median) == (3e-6, 1e-6)


def test_what_was_measured_is_said(clock: list[int]) -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            clock[0] += 7_000 * len(x)
            return x

    measured = latency(Net(), torch.zeros(1, 3), batch=2, threads=1, repeats=4)
    assert measured == Latency(4, 14e-6, 14e-6, 14e-6, engine="torch-eager", threads=1, batch=2)


def test_the_net_runs_as_it_serves_and_is_left_as_it_was() -> None:
    net = Watched(notes := [])
    threads = torch.get_num_threads()
    latency(net, torch.zeros(1, 2), threads=threads + 1, repeats=3, warmup=2)
    assert len(notes) == 5
    assert {state for _, state in notes} == {(False, False, threads + 1)}
    assert net.training
    assert net.runs == 0
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("batch", "filled"), [(1, [0.0]), (2, [0.0, 1.0]), (5, [0.0, 1.0, 2.0, 0.0, 1.0])]
)
def test_examples_fill_the_batch(batch: int, filled: list[float]) -> None:
    net = Watched(notes := [])
    latency(net, torch.arange(3.0)[:, None], batch=batch, repeats=1, warmup=0)
    assert notes[0][0].flatten().tolist() == filled


@pytest.mark.parametrize("name", ["batch", "threads", "repeats"])
def test_numbers_below_one(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} is 0, expected 1 or more"):
        latency(nn.Identity(), torch.zeros(1, 1), **{name: 0})
    with pytest.raises(UsageError, match="repeats is 0"):
        compare({}, repeats=0)


def test_an_empty_example() -> None:
    with pytest.raises(ModelError, match="expected a batch of one input or more"):
        latency(nn.Identity(), torch.zeros(0, 3))


def test_a_net_that_fails_leaves_the_threads_alone() -> None:
    threads = torch.get_num_threads()
    with pytest.raises(ModelError, match="measuring latency: the network on an input of 2x3"):
        latency(nn.Linear(2, 2), torch.zeros(1, 3), batch=2, threads=threads + 1)
    assert torch.get_num_threads() == threads
