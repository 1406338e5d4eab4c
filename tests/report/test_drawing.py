from dataclasses import replace

import pytest
from study_points import CONTROLS, LEVELS, METHODS, point, study

from secateur.point import accuracy
from secateur.report.drawing import draw, layout
from secateur.report.plot import plot
from secateur.report.style import COLOURS, GREY, MARKERS
from secateur.study.aggregate import replicates


@pytest.mark.parametrize("x", ["sparsity", "macs"])
def test_every_method_has_a_line_through_its_means(x: str) -> None:
    levels = replicates(study())
    axes = draw(plot(study(), x=x, controls=CONTROLS)).axes[0]
    drawn = {
        line.get_color(): [tuple(end) for end in line.get_xydata().tolist()]
        for line in axes.get_lines()
        if len(line.get_xydata()) == len(LEVELS) and line.get_color() != GREY
    }
    methods = [method for method in METHODS if method not in CONTROLS]
    assert list(drawn) == list(COLOURS[: len(methods)])
    for method, ends in zip(methods, drawn.values(), strict=True):
        means = [level for level in levels if level.method == method]
        assert ends == [
            (float(level.mean(x)), float(level.mean("test_accuracy"))) for level in means
        ]


def test_the_band_is_shaded_and_one_seed_has_none() -> None:
    (level,) = replicates(study(3, ())[:3])
    band = level.estimate("test_accuracy").band
    assert band is not None
    shown = plot(study(3, ("magnitude",)))
    (shade,) = draw(shown).axes[0].collections
    (path,) = shade.get_paths()
    means = [float(level.mean("test_accuracy")) for level in shown.lines["magnitude"]]
    heights = path.vertices[:, 1]
    assert heights.max() == pytest.approx(max(means) + band)
    assert heights.min() == pytest.approx(min(means) - band)
    (shade,) = draw(plot(study(1, ("magnitude",)))).axes[0].collections
    assert not shade.get_paths()


def test_a_single_level_shows_its_band_as_a_bar() -> None:
    shown = plot([p for p in study(3, ("magnitude",)) if p.step == 0])
    (bar,) = draw(shown).axes[0].collections
    ((low, high),) = (segment[:, 1] for segment in bar.get_segments())  # type: ignore[attr-defined]
    level = shown.lines["magnitude"][0]
    assert high - low == pytest.approx(2 * (level.estimate("test_accuracy").band or 0))


def test_filled_markers_are_the_frontier_by_validation() -> None:
    # slimming is beaten everywhere on validation data, and better everywhere on test data.
    points = [
        point("magnitude", 0, 0, 0.5, 1800),
        point("magnitude", 1, 0, 0.9, 1700),
        point("slimming", 0, 0, 0.5, 1600),
        point("slimming", 1, 0, 0.9, 1500),
    ]
    turned = {1800: 3000, 1700: 3000, 1600: 3900, 1500: 3900}
    points = [
        replace(p, scores=(p.val, accuracy("test", turned[p.val.part], p.test.total)))
        for p in points
    ]
    axes = draw(plot(points)).axes[0]
    markers = [line for line in axes.get_lines() if line.get_marker() in MARKERS]
    faces = [line.get_markerfacecolor() for line in markers]
    assert faces == [COLOURS[0], COLOURS[0], "white", "white"]


@pytest.mark.parametrize("x", ["sparsity", "conv_sparsity", "macs", "epochs"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_label_covers_another_or_leaves_the_page(x: str, seeds: int) -> None:
    figure = draw(plot(study(seeds), x=x, controls=CONTROLS))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == len(METHODS) + 1
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("width", [3.0, 6.4, 12.0])
def test_words_stay_on_the_page(width: float) -> None:
    title = "A title that is much too long for a single column of a journal, and yet is shown"
    figure = draw(plot(study(), controls=CONTROLS, title=title, width=width))
    assert figure.get_figwidth() == width
    boxes = [text.get_window_extent() for text in figure.texts]
    for box in boxes:
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])


def test_room_for_the_longest_name() -> None:
    short = layout(plot(study(1, ("a", "b"))), "note")
    long = layout(plot(study(1, ("a", "a-method-with-a-name"))), "note")
    assert long.right < short.right < short.width


def test_a_dollar_is_a_dollar() -> None:
    figure = draw(plot(study(1, ("m$x$",)), title="$5 & a $"))
    assert {text.get_text() for text in figure.texts} >= {"$5 & a $"}


def test_the_frame_cuts_wild_bands_off_and_says_so() -> None:
    wild = [point("magnitude", 0, 0, 0.5, 1000), point("magnitude", 0, 1, 0.5, 1900)]
    small = draw(plot(wild)).texts[-1].get_text()
    assert "cuts off the widest bands" in small.replace("\n", " ")


def test_the_dense_net_alone() -> None:
    assert draw(plot(study(3, ()), controls=CONTROLS)).axes[0].get_lines()
