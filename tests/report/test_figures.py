import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from secateur.errors import StoreError, UnknownNameError, UsageError
from secateur.point import Epochs, Point, Share
from secateur.report.figures import COLOURS, GREY, MARKERS, Plot, draw, figures
from secateur.study.replicate import replicates

CONTROLS = ("dense", "random-filter", "scratch")
METHODS = ("combined", "l1-filter", "magnitude", "slimming", "random-filter", "scratch")
LEVELS = (0.5, 0.75, 0.9, 0.95, 0.98)


def point(method: str, step: int, seed: int, level: float, correct: int) -> Point:
    return Point(
        method=method,
        level=(level,) if level else (),
        step=step,
        seed=seed,
        digest=f"{method}-{step}-{seed}",
        val=Share(correct + 3 * seed, 2000),
        test=Share(2 * correct + 5 * seed, 4000),
        sparsity=Share(round(level * 1000), 1000),
        conv_sparsity=Share(round(level * 900), 1000),
        model_sparsity=Share(round(level * 1000), 1010),
        parameters=1010,
        nonzero=1010 - round(level * 1000),
        masked_macs=5000,
        nonzero_macs=5000,
        compact_parameters=1010,
        macs=5000,
        epochs=Epochs(12, 0, 4),
        seconds=1.0,
        checkpoint="weights.safetensors",
    )


def study(seeds: int = 3, methods: tuple[str, ...] = METHODS) -> list[Point]:
    found = [point("dense", 0, seed, 0.0, 1820) for seed in range(seeds)]
    for i, method in enumerate(methods):
        for step, level in enumerate(LEVELS):
            correct = round(1820 - 400 * level**8 - 15 * i)
            found += [point(method, step, seed, level, correct) for seed in range(seeds)]
    return found


def test_four_files_that_open(tmp_path: Path) -> None:
    from matplotlib.image import imread

    paths = figures(study(), tmp_path / "new", controls=CONTROLS)
    assert [path.name for path in paths] == [
        "test-accuracy-sparsity.png",
        "test-accuracy-sparsity.svg",
        "test-accuracy-conv-sparsity.png",
        "test-accuracy-conv-sparsity.svg",
    ]
    # Nothing else: no draft is left behind.
    assert sorted((tmp_path / "new").iterdir()) == sorted(paths)
    for path in paths:
        if path.suffix == ".png":
            assert imread(path).shape == (800, 1280, 4)
        else:
            assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_the_same_points_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    first = figures(study(), tmp_path / "a", controls=CONTROLS)
    second = figures(reversed(study()), tmp_path / "b", controls=CONTROLS)
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_users_settings_neither_matter_nor_change(tmp_path: Path) -> None:
    import matplotlib

    before = [path.read_bytes() for path in figures(study(), tmp_path, controls=CONTROLS)]
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 20, "axes.facecolor": "red"}):
        after = [path.read_bytes() for path in figures(study(), tmp_path, controls=CONTROLS)]
        assert matplotlib.rcParams["font.size"] == 20
    assert before == after


def test_every_method_has_a_line_through_its_means() -> None:
    levels = replicates(study())
    axes = draw(Plot(levels, "sparsity", "test_accuracy", CONTROLS)).axes[0]
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
            (float(level.mean("sparsity")), float(level.mean("test_accuracy"))) for level in means
        ]


def test_the_band_is_shaded_and_one_seed_has_none() -> None:
    (level,) = replicates(study(3, ())[:3])
    band = level.estimate("test_accuracy").band
    assert band is not None
    plot = Plot(replicates(study(3, ("magnitude",))), "sparsity", "test_accuracy", CONTROLS)
    (shade,) = draw(plot).axes[0].collections
    (path,) = shade.get_paths()
    means = [float(level.mean("test_accuracy")) for level in plot.lines()["magnitude"]]
    heights = path.vertices[:, 1]
    assert heights.max() == pytest.approx(max(means) + band)
    assert heights.min() == pytest.approx(min(means) - band)
    alone = Plot(replicates(study(1, ("magnitude",))), "sparsity", "test_accuracy", CONTROLS)
    (shade,) = draw(alone).axes[0].collections
    assert not shade.get_paths()


def test_a_single_level_shows_its_band_as_a_bar() -> None:
    one = [p for p in study(3, ("magnitude",)) if p.step == 0]
    plot = Plot(replicates(one), "sparsity", "test_accuracy", CONTROLS)
    (bar,) = draw(plot).axes[0].collections
    ((low, high),) = (segment[:, 1] for segment in bar.get_segments())
    level = plot.lines()["magnitude"][0]
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
    points = [replace(p, test=Share(turned[p.val.part], 4000)) for p in points]
    axes = draw(Plot(replicates(points), "sparsity", "test_accuracy", ())).axes[0]
    markers = [line for line in axes.get_lines() if line.get_marker() in MARKERS]
    faces = [line.get_markerfacecolor() for line in markers]
    assert faces == [COLOURS[0], COLOURS[0], "white", "white"]


def test_controls_are_grey_and_dashed() -> None:
    looks = Plot(replicates(study()), "sparsity", "test_accuracy", CONTROLS).looks()
    for method, look in looks.items():
        assert (look.colour == GREY) == (method in CONTROLS)
        assert (look.dash == "-") == (method not in CONTROLS)
    assert "dense" not in looks


def test_many_methods_never_look_the_same() -> None:
    names = tuple(f"method-{i:02}" for i in range(12))
    looks = Plot(replicates(study(1, names)), "sparsity", "test_accuracy", ()).looks()
    assert len({(look.colour, look.marker) for look in looks.values()}) == 12


@pytest.mark.parametrize("x", ["sparsity", "conv_sparsity"])
@pytest.mark.parametrize("seeds", [1, 3])
def test_no_label_covers_another(x: str, seeds: int) -> None:
    figure = draw(Plot(replicates(study(seeds)), x, "test_accuracy", CONTROLS))
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == len(METHODS) + 1
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize(
    ("y", "title", "role"),
    [
        ("test_accuracy", "Test accuracy (4,000 images)", "was scored once and chose nothing"),
        ("val_accuracy", "Validation accuracy (2,000 images)", "made the choices"),
    ],
)
def test_the_figure_says_which_accuracy_it_draws(y: str, title: str, role: str) -> None:
    figure = draw(Plot(replicates(study()), "conv_sparsity", y, CONTROLS))
    assert figure.axes[0].get_title(loc="left") == title
    assert figure.axes[0].get_xlabel() == "sparsity of the convs (share of zeros)"
    assert role in figure.texts[0].get_text()
    assert "over 3 seeds" in figure.texts[0].get_text()


def test_the_note_owns_up_to_what_is_not_shown() -> None:
    one = draw(Plot(replicates(study(1)), "sparsity", "test_accuracy", CONTROLS))
    assert "One seed: no band" in one.texts[0].get_text()
    uneven = [p for p in study(3) if p.seed < 2 or p.method != "slimming"]
    mixed = draw(Plot(replicates(uneven), "sparsity", "test_accuracy", CONTROLS))
    assert "over 2-3 seeds" in mixed.texts[0].get_text()
    wild = [point("magnitude", 0, 0, 0.5, 1000), point("magnitude", 0, 1, 0.5, 1900)]
    cut = draw(Plot(replicates(wild), "sparsity", "test_accuracy", ()))
    assert "The frame cuts off the widest bands" in cut.texts[0].get_text()
    assert "frame" not in mixed.texts[0].get_text()


def test_the_dense_net_alone(tmp_path: Path) -> None:
    assert len(figures(study(3, ()), tmp_path, controls=CONTROLS)) == 4


def test_no_points(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the study is empty"):
        figures([], tmp_path)


def test_an_unknown_accuracy(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'test_accuracy'"):
        figures(study(1), tmp_path, y="test_acuracy")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"Run `pip install secateur\[report\]`"):
        figures(study(1), tmp_path)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(StoreError, match="writing a figure"):
        figures(study(1), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_full_disk_keeps_the_old_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "test-accuracy-sparsity.png"
    old.write_bytes(b"old")

    def full(path: Path, content: bytes) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="No space left on device"):
        figures(study(1), tmp_path)
    assert old.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [old]


def test_importing_it_loads_neither_matplotlib_nor_torch() -> None:
    code = (
        "import sys, secateur.report.figures, secateur.report.table\n"
        "sys.exit(bool({'matplotlib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from secateur.point import Point, Share, Epochs\n"
        "from secateur.report.figures import figures\n"
        "s = Share(1, 2); p = Point('m', (.5,), 0, 0, 'd', s, s, s, s, s, 2, 1, 2, 1, 2, 2,"
        " Epochs(1, 0, 1), 1.0, 'c')\n"
        f"figures([p], Path({str(tmp_path)!r}))\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
