"""The vertical axis of a figure."""

import pytest
from study_points import errors, study

from secateur.report.caption import heading, note
from secateur.report.drawing import draw
from secateur.report.heights import ends, far_below, number, out_of_frame
from secateur.report.plot import plot
from secateur.study.metrics import axis, own_metric

ERROR = own_metric("error", lambda *_: 0.0)
GAIN = own_metric("gain", lambda *_: 0.0, higher=True)
ACCURACY = axis("val_accuracy", study(1))


def test_a_quarter_below_of_a_share() -> None:
    assert far_below([0.9, 0.64, 0.66], ACCURACY) == [False, True, False]


def test_ten_times_as_far_as_the_one_in_the_middle() -> None:
    assert far_below([10, 11, 12, 20, 31], ERROR) == [False, False, False, False, True]
    assert far_below([-10, -11, -12, -20, -31], GAIN) == [False, False, False, False, True]
    assert far_below([5, 5, 5], ERROR) == [False] * 3
    assert far_below([21, 500_000], ERROR) == [False, False]
    assert far_below([], ERROR) == []


@pytest.mark.parametrize("y", ["val_perplexity", "test_perplexity", "val_gain"])
def test_one_that_exploded_is_out_of_the_frame_and_counted(y: str) -> None:
    shown = plot(errors(), y=y)
    assert [(one.method, one.step) for one in out_of_frame(shown)] == [("magnitude", 4)]
    low, high = ends(shown)
    inside = [shown.position(one)[1] for one in shown.shown if one not in out_of_frame(shown)]
    assert low < min(inside)
    assert max(inside) < high
    assert high - low < 1000
    assert "Far below the frame: 1 level." in note(shown, cut=False, below=1)
    assert "Far below" not in note(shown, cut=False)


def test_of_a_share_nothing_is_out_of_the_frame() -> None:
    assert out_of_frame(plot(study(1))) == []


def test_better_is_up_and_the_heading_says_so() -> None:
    (axes,) = draw(plot(errors(), y="val_perplexity")).axes
    worse, better = axes.get_ylim()
    assert worse > better
    assert heading(plot(errors(), y="val_perplexity")) == (
        "Validation perplexity (bit, less is better, and up)"
    )
    (axes,) = draw(plot(errors(), y="val_gain")).axes
    assert axes.get_ylim()[0] < axes.get_ylim()[1]


def test_the_numbers_have_room() -> None:
    points = errors()
    figure = draw(plot([one for one in points if one.method != "magnitude"], y="val_gain"))
    edge = min(label.get_window_extent().x0 for label in figure.axes[0].get_yticklabels())
    assert edge >= 0


def test_numbers_are_short() -> None:
    found = [number(one) for one in (0, 0.0125, 9999, 10_000, -523_456, 2e6, 3e9)]
    minus = "\N{MINUS SIGN}"
    assert found == ["0", "0.0125", "9999", "10k", f"{minus}523.456k", "2M", "3G"]
