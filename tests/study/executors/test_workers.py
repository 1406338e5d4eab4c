"""Places for runs that train on several devices."""

from __future__ import annotations

import pytest
import torch

from secateur.errors import DeviceError
from secateur.study.executors import workers
from secateur.study.executors.workers import Places, places_of


def make(count: int) -> None:
    """Makes no executor; places are this machine's."""


@pytest.mark.parametrize(
    # cores, devices of a run, --threads -> workers, threads, cores that base nets share
    ("cores", "each", "threads", "chosen"),
    [
        (2, 1, None, (2, 1, 2)),
        (2, 2, None, (1, 1, 1)),
        (8, 2, None, (4, 1, 4)),
        (8, 2, 2, (2, 2, 4)),
        (2, 4, None, (1, 1, 1)),
    ],
)
def test_ranks_share_the_cores(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    each: int,
    threads: int | None,
    chosen: tuple[int, int, int],
) -> None:
    monkeypatch.setattr(workers, "cores", lambda: cores)
    found = places_of(make, "cpu", None, threads, each)  # type: ignore[arg-type]
    assert (found.workers, found.threads, found.shared) == chosen
    assert found.devices == ("cpu",)


def test_a_run_has_gpus_that_lie_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 5)
    for each, devices in ((1, 5), (2, 2), (3, 1), (5, 1)):
        found = places_of(make, "auto", None, None, each)  # type: ignore[arg-type]
        assert found.devices == tuple(f"cuda:{place * each}" for place in range(devices))
        assert found.workers == devices
    assert places_of(make, "cuda:3", None, None, 2).devices == ("cuda:3",)  # type: ignore[arg-type]
    for name, each in (("cuda:4", 2), ("auto", 6)):
        with pytest.raises(DeviceError, match=f"devices = {each} is more than there are"):
            places_of(make, name, None, None, each)  # type: ignore[arg-type]


def test_places_of_an_executor_of_its_own_are_shared_among_ranks() -> None:
    class Cluster:
        def __call__(self, count: int) -> None:
            """Makes no executor."""

        def places(self, device: str, count: int | None, threads: int | None) -> Places:
            return Places((device,), 3, threads or 4, 8)

    for each, threads, expected in ((1, None, (4, 8)), (2, None, (2, 4)), (2, 4, (4, 4))):
        found = places_of(Cluster(), "cpu", None, threads, each)  # type: ignore[arg-type]
        assert (found.workers, found.threads, found.shared) == (3, *expected)
