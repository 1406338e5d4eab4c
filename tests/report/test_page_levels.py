"""Levels as the page has them: beside which dense net, and on which axis the page opens."""

from dataclasses import replace

from study_points import point

from secateur.point import Epochs, Latency, Point
from secateur.report.page.levels import dense_beside, opening_axis
from secateur.study.aggregate import Replicate, replicates
from secateur.study.metrics import axes_of


def sized(method: str, size: int | None, time: float | None, step: int = 0) -> Point:
    latency = () if time is None else (Latency(5, time, time, time, "torch-eager", 1, 1),)
    made = point(method, step, 0, 0.0 if method == "dense" else 0.5, 1800)
    return replace(made, artifact_bytes=size, latency=latency)


def opening(*points: Point) -> str:
    return opening_axis(replicates(points), axes_of(points))


def test_the_page_opens_on_bytes_then_latency_then_sparsity() -> None:
    dense, small = sized("dense", 100, 2.0), sized("magnitude", 50, 1.0)
    assert opening(dense, small) == "bytes"
    assert opening(dense) == "bytes"  # the first level: the axis stays when more come
    assert opening(replace(dense, artifact_bytes=None), small) == "latency"
    assert opening(dense, replace(small, artifact_bytes=100)) == "latency"
    untimed = [replace(one, artifact_bytes=None, latency=()) for one in (dense, small)]
    assert opening(*untimed) == "sparsity"
    assert opening_axis((), axes_of(())) == "sparsity"


def test_what_a_control_lacks_decides_nothing() -> None:
    dense, small = sized("dense", 100, 2.0), sized("magnitude", 50, 1.0)
    assert opening(dense, small, sized("random-filter", None, None)) == "bytes"


def level(epochs: int, step: int = 0) -> Replicate:
    one = replace(point("dense", step, 0, 0.0, 1800), epochs=Epochs(epochs, 0, 0))
    return Replicate("dense", (), step, (one,))


def test_a_level_is_beside_the_dense_net_that_was_trained_as_long() -> None:
    dense = [level(5), level(7, 1), level(9, 2)]
    assert dense_beside(level(7), dense) is dense[1]
    assert dense_beside(level(8), dense) is dense[2]  # of two as near the longer trained
    assert dense_beside(level(100), dense) is dense[2]
    assert dense_beside(level(7), []) is None
