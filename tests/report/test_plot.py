from dataclasses import replace

import pytest
from study_points import CONTROLS, METHODS, point, study

from secateur.errors import UnknownNameError, UsageError
from secateur.point import accuracy
from secateur.report.plot import plot


def test_lines_run_to_the_better_side() -> None:
    for x in ("sparsity", "macs"):
        line = plot(study(), x=x).lines["magnitude"]
        assert [level.step for level in line] == [0, 1, 2, 3, 4]


def test_a_method_keeps_its_look_when_others_are_left_out() -> None:
    whole, part = plot(study(), controls=CONTROLS), plot(study(), methods=["magnitude"])
    assert list(part.lines) == ["magnitude"]
    assert part.styles["magnitude"].marker == plot(study()).styles["magnitude"].marker
    assert list(whole.lines) == sorted(METHODS)
    assert part.dense_ends


def test_the_frontier_is_the_whole_studys_and_by_validation() -> None:
    points = [point("a", 0, 0, 0.5, 1800), point("b", 0, 0, 0.6, 1900)]
    points = [
        replace(p, scores=(p.val, accuracy("test", 4000 - p.test.part, 4000))) for p in points
    ]
    shown = plot(points, methods=["a"], y="test_accuracy")
    assert [level.method for level in shown.best] == ["b"]
    assert [level.method for level in shown.shown] == ["a"]


def test_the_dense_net_at_both_ends() -> None:
    longer = [
        replace(point("dense", step, 0, 0.0, 1800), epochs=replace(p.epochs, retrain=4 * step))
        for step in range(3)
        for p in [point("dense", 0, 0, 0.0, 1800)]
    ]
    assert [level.step for level in plot(longer).dense_ends] == [0, 2]


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"x": "val_accuracy"}, "horizontal axis is 'val_accuracy'"),
        ({"x": "conv_sparsty"}, "Did you mean 'conv_sparsity'"),
        ({"y": "test_acuracy"}, "Did you mean 'test_accuracy'"),
        ({"methods": ["magnitud"]}, "Did you mean 'magnitude'"),
    ],
)
def test_unknown_names(asked: dict[str, str], match: str) -> None:
    with pytest.raises(UnknownNameError, match=match):
        plot(study(1), **asked)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"width": 2.9}, "the width is 2.9, expected 3 to 20 inches"),
        ({"width": float("nan")}, "the width is nan"),
        ({"title": "a\x07b"}, "printable"),
        ({"x": "latency_64"}, "not measured"),
    ],
)
def test_what_cannot_be(asked: dict[str, str], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        plot(study(1), **asked)


def test_no_points() -> None:
    with pytest.raises(UsageError, match="the study is empty"):
        plot([])
