"""Debian's Chromium, and pages that note whatever goes wrong in them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from secateur.point import Latency, Point, accuracy
from secateur.report.page import write
from secateur.study.plan import Run
from secateur.study.store import Store

MAJORITY = "val_majority"
PATIENCE = 120_000  # Milliseconds: the machine may be busy.


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium; without it the tests are skipped and say so, and fail in CI."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        reason = "needs playwright and Chromium: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            timeout=PATIENCE,
        )
        yield opened
        opened.close()


@dataclass
class Opened:
    """A page in the browser.

    Attributes:
        page: Playwright's.
        complaints: Errors and messages of the console.
        requests: Everything asked for but the page itself.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def drawn(self) -> None:
        """Until all of it has been drawn: nothing may wait by a script, the policy refuses one."""
        self.page.locator("html[data-drawn]").wait_for()

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).first.text_content())

    def wait(self, selector: str, words: str) -> None:
        """Until an element's text has the words."""
        self.page.locator(selector, has_text=words).wait_for()

    def keys(self, selector: str) -> set[str]:
        """The levels, `method/step`, of the points of the chart that a selector finds."""
        found = self.page.locator(selector).evaluate_all("all => all.map(e => e.dataset.key)")
        return set(found)


@pytest.fixture(scope="session")
def old_run(undisturbed: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny study as a version left it that marked no level as collapsed: all have, there."""
    folder = tmp_path_factory.mktemp("old") / "run"
    shutil.copytree(Path(undisturbed.folder, "run"), folder)
    with Store.writing(folder) as store:
        facts = {name: value for name, value in store.value("data").items() if name != MAJORITY}
        store.write_fact("data", json.dumps(facts))
    with contextlib.chdir(folder.parent):  # the page's commands name the folder as it was given
        write(Store(Path("run")))
    return folder


@pytest.fixture
def write_page(tmp_path: Path) -> Callable[..., Path]:
    """Writes the page of a store with given points; their method and step name them."""

    def write_one(
        points: list[Point],
        settings: dict[str, Any] | None = None,
        name: str = "made",
        reason: str = "",
    ) -> Path:
        return write(fill(tmp_path / name, points, settings, reason))

    return write_one


def fill(
    folder: Path, points: list[Point], settings: dict[str, Any] | None = None, reason: str = ""
) -> Store:
    """A store that holds the points, and with a reason a run that failed for it."""
    lost = Run("f" * 64, "point", "magnitude", (0.99,), 99, 1, 0, {}, 1, {})
    runs = []
    for one in points:
        kind: Any = "base" if one.method == "dense" else "point"
        runs.append(Run(one.digest, kind, one.method, one.level, one.step, 1, one.seed, {}, 1, {}))
    with Store.writing(folder) as store:
        store.begin(settings or {"name": folder.name}, [*runs, *[lost] * bool(reason)])
        for each, one in zip(runs, points, strict=True):
            result = {"point": one.to_dict()}
            store.record_end(store.record_start(each), each, "done", "", result)
        if reason:
            store.record_end(store.record_start(lost), lost, "failed", reason)
        store.write_latencies({one.digest: one.latency for one in points if one.latency})
    return Store(folder)


@pytest.fixture
def made_study(make_point: Callable[..., tuple[Run, Point]]) -> Callable[..., list[Point]]:
    """Makes up a study: the more a level has lost, the smaller and faster it is."""

    def make(
        methods: tuple[str, ...] = ("magnitude", "l1-filter", "random-filter"),
        levels: tuple[float, ...] = (0.5, 0.75),
        seeds: int = 1,
    ) -> list[Point]:
        nets = [("dense", (), 0), *((name, (level,), step) for name in methods
                                    for step, level in enumerate(levels))]  # fmt: skip
        return [
            measured(make_point(name, level, 90, step)[1], methods, seed)
            for name, level, step in nets
            for seed in range(seeds)
        ]

    return make


def measured(one: Point, methods: tuple[str, ...], seed: int) -> Point:
    """A point of a made-up study: 1,000 examples, bytes and latencies."""
    level = float(one.level[0]) if one.level else 0.0
    place = methods.index(one.method) if one.method in methods else 0
    right = 900 - round(100 * level**4) - 4 * place + seed
    times = {1: 0.002 * (1 - level / 2), 64: 0.064 * (1 - level)}
    return replace(
        one,
        seed=seed,
        digest=sha256(f"{one.method} {one.step} {seed}".encode()).hexdigest(),
        scores=(accuracy("val", right, 1000), accuracy("test", 2 * right - 10, 2000)),
        artifact_bytes=round(40_000 * (1 - level)) + 8 * place + seed,
        latency=tuple(Latency(9, t, 0.9 * t, 1.1 * t, "torch-eager", 1, batch)
                      for batch, t in times.items()),
    )  # fmt: skip


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    """Opens a file or an address; its options are those of a browser context."""
    contexts = []

    def opener(where: Path | str, **options: Any) -> Opened:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        opened = Opened(page)
        address = where.resolve().as_uri() if isinstance(where, Path) else where

        def sees(route: Any) -> None:
            if route.request.url != address:
                opened.requests.append(route.request.url)
            route.continue_()

        context.route("**/*", sees)
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto(address)
        opened.drawn()
        return opened

    yield opener
    for context in contexts:
        context.close()
