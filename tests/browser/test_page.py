"""The page of a real sweep in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from secateur.foundation.html import plain
from secateur.point import Measured, Point, Score, Share, accuracy
from secateur.report import page
from secateur.report.export_table import to_csv
from secateur.study.aggregate import Replicate, replicates
from secateur.study.frontier import frontier
from secateur.study.metrics import AXES
from secateur.study.pick import pick
from secateur.study.plan import Run
from secateur.study.point_names import chosen_point
from secateur.study.ranking import rankings
from secateur.study.store import Store
from secateur.study.study import CONTROLS

from .conftest import Opened

Open = Callable[..., Opened]
MEASURES = [name for name in AXES if not name.endswith("accuracy")]


@pytest.fixture(scope="module")
def run(old_run: Path) -> Path:
    return old_run


@pytest.fixture
def points(run: Path) -> tuple[Point, ...]:
    return Store(run).points()


@pytest.fixture
def opened(open_page: Open, run: Path) -> Opened:
    """The page that the sweep itself wrote."""
    return open_page(run / page.FILE)


def key(level: Replicate | Point) -> str:
    return f"{level.method}/{level.step}"


# --- it opens, and asks no one -----------------------------------------------------------------


def test_a_page_from_a_file_asks_for_nothing_and_complains_of_nothing(
    opened: Opened, points: tuple[Point, ...]
) -> None:
    assert opened.page.title().startswith("tiny")
    assert opened.text("#subtitle").startswith(f"tiny:net on shapes · {len(points)} points")
    assert opened.keys(".dot") == {key(point) for point in points}
    opened.page.locator("#table tbody tr").nth(len(points) - 1).wait_for()
    for name in ("#x", "#y"):
        for value in opened.page.locator(f"{name} option").evaluate_all("o => o.map(e => e.value)"):
            opened.page.select_option(name, value)
    opened.page.click("#theme")
    assert opened.complaints == []
    assert opened.requests == []


def test_without_a_point_the_page_says_so(open_page: Open, write_page: Callable[..., Path]) -> None:
    opened = open_page(write_page([]))
    assert opened.text("#chart") == "No point yet."
    assert opened.complaints == []


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(open_page: Open, run: Path, width: int) -> None:
    opened = open_page(run / page.FILE, viewport={"width": width, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_follow_the_system_until_the_button_is_used(
    open_page: Open, run: Path, scheme: str
) -> None:
    opened = open_page(run / page.FILE, color_scheme=scheme)
    lightness = "parseInt(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]) > 127"
    assert opened.page.evaluate(lightness) == (scheme == "light")
    opened.page.click("#theme")
    assert opened.page.evaluate(lightness) == (scheme == "dark")


# --- the chart ---------------------------------------------------------------------------------


def test_the_frontier_of_every_axis_is_secateurs_own(
    opened: Opened, points: tuple[Point, ...]
) -> None:
    levels = replicates(points)
    seen = set()
    for name in MEASURES:
        opened.page.select_option("#x", name)
        best = {key(level) for level in frontier(levels, (name, "val_accuracy"), CONTROLS)}
        assert opened.keys(".dot.best") == best
        seen.add(opened.page.locator(".dots").inner_html())
    assert len(seen) == len(MEASURES)


def test_test_accuracy_is_shown_and_chooses_nothing(
    opened: Opened, points: tuple[Point, ...]
) -> None:
    def heights() -> list[float]:
        return list(
            opened.page.locator(".dot").evaluate_all(
                "all => all.map(e => e.transform.baseVal[0].matrix.f)"
            )
        )

    before, best, ring = heights(), opened.keys(".dot.best"), opened.keys(".dot:has(.ring)")
    opened.page.select_option("#y", "test_accuracy")
    assert heights() != before
    assert opened.keys(".dot.best") == best
    assert opened.keys(".dot:has(.ring)") == ring
    assert "Test accuracy was scored once" in opened.text("#caption")


def test_methods_are_hidden_and_shown_again(opened: Opened, points: tuple[Point, ...]) -> None:
    everything = {key(point) for point in points}
    opened.page.uncheck("#methods input[value=magnitude]")
    assert opened.keys(".dot") == {name for name in everything if not name.startswith("magnitude")}
    assert "magnitude:" not in opened.text("#summary")
    opened.page.check("#methods input[value=magnitude]")
    assert opened.keys(".dot") == everything


def test_of_many_methods_the_best_are_drawn_and_each_has_a_small_chart(
    open_page: Open, write_page: Callable[..., Path], make_point: Callable[..., tuple[Run, Point]]
) -> None:
    weights = ("magnitude", "lamp", "wanda", "obd", "fisher", "movement", "random-weight")
    filters = ("l1-filter", "l2-filter", "fpgm", "hrank", "random-filter")
    names = [name for kind in (weights, filters) for name in kind]
    made = [make_point("dense", (), 95)[1]]
    for place, name in enumerate(names):
        made += [make_point(name, (level,), 90 - place, step)[1]
                 for step, level in enumerate((0.5, 0.9))]  # fmt: skip
    opened = open_page(write_page(made))
    drawn = {name.split("/")[0] for name in opened.keys(".dot")}
    best = {*weights[:3], "random-weight", *filters[:3], "random-filter"}
    assert drawn == {"dense", *best}
    assert "Not drawn: 4 methods of 13." in opened.text("#caption")
    opened.page.check("#apart")
    titles = "#chart figcaption"
    assert opened.page.locator(titles).count() == len(best)
    opened.page.click("#methods-all")
    assert opened.page.locator(titles).count() == len(names)
    said = opened.page.locator("#chart svg").first.get_attribute("aria-label")
    assert said is not None
    assert "at overall sparsity" in said
    opened.page.click("#methods-none")
    assert opened.text("#chart") == "Every method is hidden."
    opened.page.click("#methods-best")
    opened.page.uncheck("#apart")
    assert {name.split("/")[0] for name in opened.keys(".dot")} == {"dense", *best}
    assert opened.complaints == []


def test_points_are_reached_and_chosen_with_the_keyboard_alone(opened: Opened) -> None:
    focused = "document.activeElement.dataset.key ?? null"
    opened.page.focus("#log") if opened.page.is_enabled("#log") else opened.page.focus("#y")
    for _ in range(8):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate(focused):
            break
    first = opened.page.evaluate(focused)
    assert first
    opened.page.keyboard.press("Home")
    start = opened.page.evaluate(focused)
    opened.page.keyboard.press("ArrowRight")
    second = opened.page.evaluate(focused)
    assert len({start, second}) == 2
    label = str(opened.page.evaluate("document.activeElement.getAttribute('aria-label')"))
    assert "validation accuracy" in label
    opened.page.keyboard.press("Enter")
    assert opened.keys('.dot[aria-pressed="true"]') == {second}
    assert opened.page.evaluate(focused) == second  # drawn anew, and still in the user's hand
    assert opened.text("#details-name").startswith(second.rpartition("/")[0])
    assert "details below" in opened.text("#said")


# --- the pick ----------------------------------------------------------------------------------


def chosen(opened: Opened) -> set[str]:
    return opened.keys(".dot:has(.ring)")


def test_a_slider_that_is_moved_picks_what_secateur_picks(
    opened: Opened, points: tuple[Point, ...]
) -> None:
    opened.page.focus("#floor")
    seen = set()
    for press in ("End", "Home", "ArrowRight", *["PageUp"] * 6, "ArrowLeft"):
        opened.page.keyboard.press(press)
        floor = opened.page.input_value("#floor-number")
        found = pick(points, min_accuracy=float(floor), controls=CONTROLS)
        assert chosen(opened) == {key(found.replicate)}
        assert ("no level reaches it" in opened.text("#pick")) == (not found.met)
        verb = "export" if found.met else "frontier"
        assert f"secateur {verb} " in opened.text("#pick-command")
        seen.add(floor)
    assert len(seen) > 4


def test_floors_are_compared_exactly_and_ties_broken_alike(
    open_page: Open, write_page: Callable[..., Path], points: tuple[Point, ...]
) -> None:
    base = points[0]
    # Three seeds whose mean is exactly 0.9 (2700 of 3000), and neighbours a hair away.
    made = [
        replace(
            base,
            method=method,
            level=(level,),
            step=step,
            seed=seed,
            digest=f"{method}-{step}-{seed}",
            scores=(accuracy("val", correct, 1000), base.test),
            sparsity=Share(zeros, 100),
            macs=macs,
        )
        for method, step, level, corrects, zeros, macs in (
            ("l1-filter", 0, 0.5, (899, 900, 901), 50, 400),
            ("magnitude", 0, 0.5, (890, 900, 910), 50, 300),  # ties with the one above
            ("magnitude", 1, 0.9, (899, 900, 900), 90, 300),  # a third of an image short
            ("magnitude", 2, 0.95, (100, 100, 101), 95, 200),
            ("random-weight", 0, 0.99, (999, 999, 999), 99, 100),  # a control is never picked
            ("slimming", 0, 0.3, (900, 900, 901), 30, 300),
        )
        for seed, correct in enumerate(corrects)
    ]
    opened = open_page(write_page(made))
    for axis in ("sparsity", "macs"):
        opened.page.select_option("#x", axis)
        for floor in ("0.9", "0.90", "0.9001", "0.900333", "0.8996", "0.1", "0", "0.95", "1"):
            opened.page.fill("#floor-number", floor)
            found = pick(made, min_accuracy=float(floor), x=axis, controls=CONTROLS)
            assert chosen(opened) == {key(found.replicate)}, (axis, floor)
    assert opened.keys(".dot.best") == {
        key(level) for level in frontier(replicates(made), ("macs", "val_accuracy"), CONTROLS)
    }
    assert "over 3 seeds" in opened.text("#caption")


# --- one point ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["magnitude", "combined", "slimming", "scratch"])
def test_a_click_shows_a_points_layers_budget_files_and_command(
    opened: Opened, run: Path, points: tuple[Point, ...], method: str
) -> None:
    point = next(one for one in points if one.method == method and one.step == 1)
    if method == "scratch":  # by the table, as on a phone
        opened.page.click(f'tr[data-digest="{point.digest}"] button')
    else:
        opened.page.locator(f'.dot[data-key="{key(point)}"]').dispatch_event("click")
    assert opened.text("#details-name") == f"{method} at {point.level_name}, seed 0"
    layers = opened.page.locator(".layers tbody tr")
    assert layers.count() == len(point.layers)
    for row, layer in zip(layers.all(), point.layers, strict=True):
        name, kept, zeros = row.locator("th, td").all()
        assert str(name.text_content()).startswith(layer.name)
        assert kept.text_content() == f"{layer.kept} / {layer.channels}"
        assert zeros.get_attribute("title") == str(layer.zeros)
    spent = opened.page.locator(".budget td").all_text_contents()
    epochs = point.epochs
    assert spent == [
        str(each) for each in (epochs.base, epochs.sparsity, epochs.retrain, epochs.cumulative)
    ]
    assert f"{epochs.cumulative} epochs in" in opened.text(".curves + p")
    weights, export, digest = opened.page.locator(".files code").all_text_contents()
    assert digest == point.digest
    assert weights.endswith(point.checkpoint)
    *command, name, option, model = export.split()
    assert command == ["secateur", "export", "run", "--point"]
    assert (option, model) == ("--model", "tiny:net")
    assert chosen_point(Store(run).points(), name, run) == point
    assert opened.complaints == []


def test_methods_of_one_kind_are_ranked_and_what_is_alone_is_not(
    opened: Opened, points: tuple[Point, ...]
) -> None:
    rows = opened.page.locator("#ranks tbody tr")
    found = {row.split("\t")[0]: row.split("\t")[1] for row in rows.all_inner_texts()}
    ranked = rankings(points, CONTROLS)
    said = {
        f"{one.method} (control)" if one.control else one.method: f"{one.rank.mean:.2f}"
        for ranking in ranked
        for one in ranking.ranks
    }
    assert found == said
    assert len(ranked) > 0


def test_steps_of_the_dense_net_are_told_apart(
    opened: Opened, run: Path, points: tuple[Point, ...]
) -> None:
    for point in points:
        if point.method == "dense":
            opened.page.click(f'tr[data-digest="{point.digest}"] button')
            name = opened.page.locator(".files code").nth(1).text_content().split()[4]
            assert chosen_point(Store(run).points(), name, run) == point
            assert f"after {point.epochs.cumulative} epoch" in opened.text("#details-name")


# --- the table ---------------------------------------------------------------------------------


def test_every_column_sorts_both_ways(opened: Opened) -> None:
    heads = opened.page.locator("#table thead button")
    for place in range(heads.count()):
        orders = []
        for direction in ("ascending", "descending"):
            heads.nth(place).click()
            head = opened.page.locator("#table thead th").nth(place)
            assert head.get_attribute("aria-sort") == direction
            cells = opened.page.locator(f"#table tbody tr > :nth-child({place + 1})")
            orders.append([_number(text) for text in cells.all_text_contents()])
        assert orders[0] == sorted(orders[0])
        assert orders[1] == sorted(orders[1], reverse=True)


def _number(text: str) -> tuple[float, str]:
    """How a column's text sorts: `1.2k` and `1+0+2=3` by their numbers, names as they are."""
    last = text.rpartition("=")[2].replace("-", "-1") if text == "-" else text.rpartition("=")[2]
    units = {"k": 1e3, "M": 1e6}
    try:
        return float(last.rstrip("kM")) * units.get(last[-1:], 1), ""
    except ValueError:
        first, _, second = last.partition("/")
        return (float(first), second) if second else (0.0, text)


def test_the_csv_is_the_store(opened: Opened, points: tuple[Point, ...], tmp_path: Path) -> None:
    with opened.page.expect_download() as waiting:
        opened.page.click("#csv")
    assert waiting.value.suggested_filename == "tiny.csv"
    waiting.value.save_as(tmp_path / "points.csv")
    text = (tmp_path / "points.csv").read_bytes().decode()
    assert text == to_csv(points, CONTROLS).decode()
    rows = list(csv.DictReader(StringIO(text, newline="")))
    assert [row["digest"] for row in rows] == [point.digest for point in points]
    for row, point in zip(rows, points, strict=True):
        assert (row["method"], int(row["seed"]), int(row["step"])) == (
            point.method,
            point.seed,
            point.step,
        )
        assert (int(row["val_correct"]), int(row["val_total"])) == (point.val.part, point.val.total)
        assert int(row["test_correct"]) == point.test.part
        for name in ("sparsity", "conv_sparsity", "model_sparsity"):
            share = getattr(point, name)
            assert (int(row[f"{name}_zeros"]), int(row[f"{name}_total"])) == (
                share.part,
                share.total,
            )
        for name in ("parameters", "nonzero", "compact_parameters", "masked_macs", "macs",
                     "nonzero_macs", "artifact_bytes"):  # fmt: skip
            assert int(row[name]) == getattr(point, name)
        for batch in {timed.batch for timed in point.latency}:
            best = point.latency_at(batch)
            assert best is not None
            assert float(row[f"latency_{batch}_median"]) == best.median
            assert row[f"latency_{batch}_engine"] == best.engine
        assert int(row["retrain_epochs"]) == point.epochs.retrain
        assert row["checkpoint"] == point.checkpoint


# --- names are text ----------------------------------------------------------------------------

HOSTILE = (
    "<script>window.hit=1</script>",
    "</script><script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<!--<script>",
    "\u2028${window.hit=1}`'\"&lt;",
)


def test_hostile_names_do_nothing_and_are_seen_as_they_are(
    open_page: Open, run: Path, tmp_path: Path, points: tuple[Point, ...]
) -> None:
    bad = plain(" ".join(HOSTILE))
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    with Store.writing(folder) as store:
        settings = {**store.settings, "name": bad, "model": {"name": bad, "options": {bad: bad}}}
        runs = [Run(point.digest, "point", bad, (0.5,), place, 1, 0, {}, 1, {})
                for place, point in enumerate(points)]  # fmt: skip
        lost = Run("f" * 64, "point", bad, (), 0, 1, 0, {}, 1, {})
        store.begin(settings, [*runs, lost])
        for place, (each, point) in enumerate(zip(runs, points, strict=True)):
            layers = tuple(replace(layer, name=bad, kind=bad) for layer in point.layers)
            worse = replace(point, method=bad, step=place, level=(0.5,), layers=layers,
                            checkpoint=bad, floored=(bad,), environment={bad: bad})  # fmt: skip
            result = {"point": worse.to_dict()}
            store.record_end(store.record_start(each), each, "done", "", result)
        store.record_end(store.record_start(lost), lost, "failed", bad)
    opened = open_page(page.write(Store(folder)))
    opened.page.locator(".dot").first.dispatch_event("click")
    opened.page.locator(".dot").first.dispatch_event("pointerover")
    assert opened.text("#title") == bad
    assert opened.text("#failures dd") == bad
    assert bad in opened.text("#details-name")
    assert bad in opened.text("#tip strong")
    assert bad in opened.text(".layers tbody th")
    assert bad in opened.text("#about")
    assert opened.page.locator("img, iframe, main script").count() == 0
    assert opened.page.evaluate("window.hit") is None
    assert opened.complaints == []
    assert opened.requests == []


def test_the_policy_stops_what_would_get_in(opened: Opened) -> None:
    opened.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.hit = 1";
            document.body.append(script);
            const image = document.createElement("img");
            image.src = "https://example.org/a.png";
            document.body.append(image);
            document.body.insertAdjacentHTML("beforeend", "<b onclick='window.hit=1' id=b>b</b>");
            document.getElementById("b").click();
        }"""
    )
    fetched = "fetch('https://example.org/').then(() => 'sent', () => 'refused')"
    assert opened.page.evaluate(fetched) == "refused"
    assert opened.page.evaluate("window.hit") is None
    assert opened.requests == []
    assert len(opened.complaints) >= 3


def test_a_failed_run_is_shown_with_its_reason(open_page: Open, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    lost = Run("f" * 64, "point", "magnitude", (0.99,), 9, 1, 0, {}, 1, {})
    with Store.writing(folder) as store:
        store.begin(store.settings, [lost])
        store.record_end(store.record_start(lost), lost, "failed", "the loss is not finite")
    opened = open_page(page.write(Store(folder)))
    assert opened.text("#failures dt") == "magnitude 0.99 seed 0"
    assert opened.text("#failures dd") == "the loss is not finite"
    assert "1 run failed" in opened.text("#subtitle")
    assert json.loads(json.dumps(page.values(Store(folder))))["failures"]


# --- another score than accuracy ---------------------------------------------------------------


def test_an_error_is_turned_and_bounded_from_above(
    open_page: Open, write_page: Callable[..., Path], points: tuple[Point, ...]
) -> None:
    made = [
        replace(
            points[0],
            method=method,
            level=(level,) if level else (),
            step=step,
            digest=f"{method}-{step}",
            scores=tuple(
                Score(word, split, error + more, False, word.upper(), "mJ")
                for split in ("val", "test")
                for word, more in (("rmse", 0.0), ("mae", -1.0))
            ),
            before=None,
            metrics=(Measured("change", "change", "", False, -level - 1),),
            sparsity=Share(round(100 * level), 100),
            curve=({"epoch": 1, "loss": 3.0, "val_rmse": error},),
            majority=None,
        )
        for method, step, level, error in (
            ("dense", 0, 0.0, 50.0),
            ("magnitude", 0, 0.5, 51.25),
            ("magnitude", 1, 0.9, 54.0),
            ("magnitude", 2, 0.95, 523_456.0),
            ("l1-filter", 0, 0.5, 52.0),
        )
    ]
    opened = open_page(write_page(made))
    body = opened.page.locator("main")
    assert "ccuracy" not in str(body.text_content())
    assert opened.page.locator("#floor-number").input_value() == "51"
    assert "at most" in opened.text("#floor-label")
    labels = opened.page.locator("#chart svg").get_attribute("aria-label")
    assert labels.startswith("Validation RMSE (mJ, less is better, and up)")
    height = {
        place: opened.page.locator(f'.dot[data-key="{place}"]').bounding_box()["y"]
        for place in ("magnitude/0", "magnitude/1", "l1-filter/0", "magnitude/2")
    }
    assert height["magnitude/0"] < height["l1-filter/0"] < height["magnitude/1"]
    assert height["magnitude/1"] < height["magnitude/2"]  # an arrow head below the frame
    assert "Below the frame, at the arrow heads: 1 level" in opened.text("#caption")
    for ceiling in ("51", "51.25", "52", "54", "60", "523456", "49"):
        opened.page.fill("#floor-number", ceiling)
        found = pick(made, at_most={"val_rmse": float(ceiling)}, controls=CONTROLS)
        assert chosen(opened) == {key(found.replicate)}, ceiling
        assert f"--at-most val_rmse={ceiling}" in opened.text("#pick-command")
    opened.page.locator('.dot[data-key="magnitude/1"]').dispatch_event("click")
    assert "54.00 mJ" not in opened.text("#details-body")  # a whole number has no places
    assert "54 mJ" in opened.text("#details-body")
    assert "validation RMSE 54 mJ" in opened.text(".curves + p")
    opened.page.select_option("#y", "val_mae")
    opened.page.locator('.dot[data-key="magnitude/0"]').focus()
    assert "Validation MAE" in opened.text("#tip")
    opened.page.select_option("#x", "change")
    assert "Change (less is to the right)" in opened.text("#chart")
    right = opened.page.locator('.dot[data-key="magnitude/1"]').bounding_box()["x"]
    assert right > opened.page.locator('.dot[data-key="magnitude/0"]').bounding_box()["x"] + 50
    assert "change" in opened.page.locator("#table thead button").all_text_contents()
    assert opened.complaints == []
