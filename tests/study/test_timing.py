"""Timing: every point on every engine, nets of the same shapes once."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from secateur.errors import ModelError
from secateur.foundation.run_example import Inputs, batch_size
from secateur.point import Epochs, Latency, Point, Share
from secateur.study import timing
from secateur.study.timing import BATCHES, EAGER, time_points


class Store:
    """What `time_points` needs of one."""

    def __init__(self, *points: Point) -> None:
        self.held = points
        self.written: dict[str, list[Latency]] = {}

    def points(self) -> tuple[Point, ...]:
        return self.held

    def write_latencies(self, latencies: dict[str, list[Latency]]) -> None:
        self.written = latencies


class Images:
    """Data of one shape."""

    def example(self, count: int) -> torch.Tensor:
        return torch.rand(min(count, 3), 8)


def point(digest: str, latency: tuple[Latency, ...] = ()) -> Point:
    share = Share(1, 2)
    return Point(
        "magnitude", (0.5,), 0, 0, digest, share, share, share, share, share,
        1, 1, 1, 1, 1, 1, Epochs(1, 0, 0), 1.0, "x", latency=latency,
    )  # fmt: skip


@pytest.fixture
def nets(monkeypatch: pytest.MonkeyPatch) -> dict[str, nn.Module]:
    """The compact nets by digest: two dense ones of the same shapes, two sparse ones."""
    torch.manual_seed(0)
    made = {name: nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 3)).eval() for name in "abcd"}
    for name in "cd":
        made[name][0].weight.data[1:] = 0
    monkeypatch.setattr(timing, "_compact_net", lambda _s, _u, _d, each: made[each.digest])
    monkeypatch.setattr(timing, "_SECONDS", 0.01)
    monkeypatch.setattr(timing, "_CHOOSING", 0.0)
    return made  # type: ignore[return-value]


def run(store: Store) -> list[int]:
    told: list[int] = []
    time_points(store, None, Images(), told.append)
    return told


def test_every_point_is_timed_on_every_engine(nets: dict[str, nn.Module]) -> None:
    store = Store(*map(point, "abcd"))
    run(store)
    assert set(store.written) == set("abcd")
    for latencies in store.written.values():
        assert [each.batch for each in latencies] == [1, 1, 64, 64]
        assert [each.engine == EAGER for each in latencies] == [True, False] * len(BATCHES)
        assert all(each.engine.startswith("secateur-") for each in latencies[1::2])


def test_zeros_make_a_net_of_its_own_on_the_engine_alone(nets: dict[str, nn.Module]) -> None:
    store = Store(*map(point, "abcd"))
    told = run(store)
    assert told == [3]  # The dense one, and two sparse ones.
    first, second, third, fourth = (store.written[name] for name in "abcd")
    assert first == second
    assert first[0] == third[0] == fourth[0]
    assert third[1] != fourth[1]


def test_what_is_timed_is_not_timed_again(nets: dict[str, nn.Module]) -> None:
    latency = Latency(1, 1.0, 1.0, 1.0, EAGER, 1, 1)
    store = Store(point("a", (latency,)))
    assert run(store) == []
    assert store.written == {}
    store = Store(point("a", (latency,)), point("b"))
    run(store)
    assert set(store.written) == {"a", "b"}


def test_a_net_without_an_engine_is_still_timed(
    nets: dict[str, nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_a: object, **_k: object) -> None:
        raise ModelError("compiling", "it", given="odd", expected="not", remedy="None.")

    monkeypatch.setattr(timing, "compile_engine", fail)
    store = Store(point("a"))
    run(store)
    assert [each.engine for each in store.written["a"]] == [EAGER, EAGER]


def test_the_best_engine_is_the_points_latency() -> None:
    def measured(engine: str, batch: int, seconds: float) -> Latency:
        return Latency(5, seconds, seconds, seconds, engine, 1, batch)

    times = (measured("a", 1, 2.0), measured("b", 1, 1.0), measured("a", 64, 3.0))
    timed = replace(point("x"), latency=times)
    assert timed.latency_at(1) == times[1]
    assert timed.latency_at(64) == times[2]
    assert timed.latency_at(8) is None


def test_what_else_is_timed_has_its_place_in_the_same_rounds(nets: dict[str, nn.Module]) -> None:
    latency = Latency(1, 1.0, 1.0, 1.0, EAGER, 1, 1)
    store, asked = Store(point("a", (latency,))), []

    def make(inputs: Inputs, threads: int) -> tuple[str, Callable[[], object]]:
        asked.append(batch_size(inputs))
        return "another", lambda: None

    found = time_points(store, None, Images(), lambda _: None, {"file": make})
    assert [(one.engine, one.batch) for one in found["file"]] == [("another", 1), ("another", 64)]
    assert asked == list(BATCHES)
    assert store.written["a"]
    assert time_points(Store(point("a", (latency,))), None, Images(), lambda _: None) == {}
