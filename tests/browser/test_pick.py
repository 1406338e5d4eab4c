"""The pick on the page: what one gains by it, the axis that the page opens on, and its command."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from secateur.point import Epochs, Point
from secateur.report import page
from secateur.study.pick import pick, shipped_point
from secateur.study.study import CONTROLS

from .conftest import Opened

Open = Callable[..., Opened]
Made = Callable[..., list[Point]]
Write = Callable[..., Path]


def told(opened: Opened) -> list[str]:
    return [str(one).strip() for one in opened.page.locator("#pick .gains li").all_text_contents()]


def test_the_page_says_first_what_one_gains_and_opens_on_bytes(
    open_page: Open, write_page: Write, made_study: Made
) -> None:
    opened = open_page(write_page(made_study()))
    assert opened.page.input_value("#x") == "bytes"
    assert opened.text("#pick strong") == "magnitude at 0.5"
    size, time, score = told(opened)
    assert size.startswith("2.0 times smaller20 kB of 40 kB on disk")
    assert time.startswith("1.3 times faster in PyTorch1.5 ms of 2 ms, measured at batch 1")
    assert time.endswith("at batch 64 2.0 times faster")
    assert score.startswith("0.6 points lostvalidation accuracy 0.8940 of 0.9000")
    assert score.endswith("on test data 0.6 points lost")
    assert "against the dense net trained as long, 7 epochs" in opened.text("#pick")
    top = opened.page.locator("#pick").bounding_box()
    assert top["y"] + top["height"] < opened.page.viewport_size["height"] / 2
    assert opened.complaints == []


def test_the_pick_is_above_the_fold_of_a_phone(
    open_page: Open, write_page: Write, made_study: Made
) -> None:
    opened = open_page(write_page(made_study()), viewport={"width": 390, "height": 844})
    box = opened.page.locator("#pick .gains").bounding_box()
    assert box["y"] + box["height"] < 844


def without(points: list[Point], *names: str) -> list[Point]:
    gone: dict[str, Any] = {"bytes": {"artifact_bytes": None}, "latency": {"latency": ()}}
    for name in names:
        points = [replace(one, **gone[name]) for one in points]
    return points


@pytest.mark.parametrize(
    ("missing", "axis", "size", "time"),
    [
        (("bytes",), "latency", "1.8 times fewer parameters", "1.3 times faster in PyTorch"),
        (("bytes", "latency"), "sparsity", "1.8 times fewer parameters", "Speed unknown"),
        (("latency",), "bytes", "2.0 times smaller", "Speed unknownlatency was not measured"),
    ],
)
def test_what_was_not_measured_is_neither_claimed_nor_opened_on(
    open_page: Open, write_page: Write, made_study: Made, missing: tuple[str, ...], axis: str,
    size: str, time: str,
) -> None:  # fmt: skip
    opened = open_page(write_page(without(made_study(levels=(0.5,)), *missing)))
    assert opened.page.input_value("#x") == axis
    found = told(opened)
    assert found[0].startswith(size)
    assert found[1].startswith(time)


def test_a_pick_is_compared_with_the_dense_net_that_was_trained_as_long(
    open_page: Open, write_page: Write, made_study: Made
) -> None:
    made = made_study(levels=(0.5,))
    longer = replace(
        made[0], step=1, digest="e" * 64, epochs=Epochs(5, 0, 12), artifact_bytes=41_000
    )
    shorter = replace(made[0], epochs=Epochs(5, 0, 0))
    opened = open_page(write_page([shorter, longer, *made[1:]]))
    assert "after 5 epochs; this one has had 7" in opened.text("#pick")
    opened.page.fill("#floor-number", "0.9")
    assert "The dense net itself" in opened.text("#pick")
    assert opened.page.locator("#pick .gains").count() == 0


def test_without_a_dense_net_nothing_is_claimed(
    open_page: Open, write_page: Write, made_study: Made
) -> None:
    opened = open_page(write_page(made_study()[1:]))
    assert "no dense net" in opened.text("#pick")
    assert opened.page.locator("#pick .gains").count() == 0
    assert opened.complaints == []


def test_the_button_shows_the_seed_that_is_shipped(
    open_page: Open, write_page: Write, made_study: Made
) -> None:
    made = made_study(seeds=3)
    opened = open_page(write_page(made))
    best = shipped_point(pick(made, min_accuracy=0.88, x="bytes", controls=CONTROLS))
    assert best.seed == 2
    opened.page.click("#pick-show")
    assert opened.text("#details-name") == f"{best.method} at {best.level_name}, seed 2"


def test_the_copied_commands_export_a_net_of_ones_own(
    open_page: Open, old_run: Path, undisturbed: Any, tmp_path: Path
) -> None:
    """Both as they stand: the page's net is the user's own, which no run folder's word builds."""
    bench = replace(undisturbed, folder=tmp_path / "bench")
    shutil.copytree(old_run.parent, bench.folder)
    shutil.copy(undisturbed.folder / "tiny.py", bench.folder)
    opened = open_page(bench.folder / "run" / page.FILE)
    command = opened.text("#pick-command code")
    assert command.endswith(" --model tiny:net")
    done = bench.run(*shlex.split(command)[1:])
    assert done.returncode == 0, done.stderr
    assert list((bench.folder / "run" / "exports").iterdir())
    assert opened.page.locator(".files code").nth(1).text_content().endswith(" --model tiny:net")


def test_what_a_command_leaves_to_the_user_is_said(
    open_page: Open, write_page: Write, made_study: Made
) -> None:
    settings = {"name": "made", "model": {"name": "__main__:net", "options": {}}}
    opened = open_page(write_page(made_study(), settings))
    assert opened.text("#pick-command code").endswith(" --model MODULE:FUNCTION")
    assert "For MODULE:FUNCTION write" in opened.text("#pick-command p")
