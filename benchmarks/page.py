"""The page's size, and the time to its first picture in a real browser, for 10 to 5,000 points.

python benchmarks/page.py --out benchmarks/page.md
"""

from __future__ import annotations

import argparse
import math
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from report import write_report
from secateur.measure.environment import environment
from secateur.point import Epochs, Latency, Layer, Point, Share, accuracy
from secateur.report import page
from secateur.study.plan import Run
from secateur.study.store import Store

METHODS = ("magnitude", "l1-filter", "slimming", "combined", "random-filter")
# A study of 20 methods, 20 levels and 5 seeds, some of them of long names.
TWENTY = (
    "magnitude", "l1-filter", "slimming", "group-lasso", "combined", "l2-filter", "lamp", "fpgm",
    "taylor-filter", "taylor-activation", "obd", "fisher", "wanda", "sparsegpt", "movement",
    "mean-activation", "hrank", "our_pruners.channels:SensitivityAwareChannelMethod",
    "random-filter", "random-weight",
)  # fmt: skip
LEVELS, SEEDS = 20, 5
SHAPES = {
    "features.0.weight": ("Conv2d", (32, 1, 3, 3)),
    "features.2.weight": ("Conv2d", (32, 32, 3, 3)),
    "features.5.weight": ("Conv2d", (64, 32, 3, 3)),
    "features.7.weight": ("Conv2d", (64, 64, 3, 3)),
    "classifier.1.weight": ("Linear", (256, 3136)),
    "classifier.3.weight": ("Linear", (10, 256)),
}
EPOCHS = 25

# The time when the chart has been painted: two frames after it has come into the document.
FIRST_PICTURE = """
new MutationObserver((_, observer) => {
  if (!document.querySelector("svg.chart .dot")) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => (window.seen = performance.now())));
}).observe(document, { childList: true, subtree: true });
"""

SEEN = """
() => new Promise((done) => {
  const look = () => (window.seen ? done(window.seen) : requestAnimationFrame(look));
  look();
})
"""


def points_of(count: int) -> Iterator[Point]:
    """The dense net, then levels of each method in turn: what a study of one seed would measure."""
    chance = random.Random(0)
    steps = -(-(count - 1) // len(METHODS))
    yield point_at("dense", 0, 0.0, chance)
    for place in range(count - 1):
        step, method = divmod(place, len(METHODS))
        yield point_at(METHODS[method], step, 0.5 + 0.49 * step / max(1, steps - 1), chance)


def twenty() -> Iterator[Point]:
    """Twenty methods, twenty levels, five seeds: each method loses in its own way."""
    chance = random.Random(0)
    spent = Epochs(50, 0, EPOCHS)
    for seed in range(SEEDS):
        yield replace(point_at("dense", 0, 0.0, chance, seed), epochs=spent)
    for rank, method in enumerate(TWENTY):
        worse = 3.0 if method.startswith("random") else 0.4 + rank % 7 / 5
        for step in range(LEVELS):
            sparsity = 0.4 + 0.58 * step / (LEVELS - 1)
            lost = round(2000 * 0.06 * worse * sparsity ** (8 + rank % 3))
            for seed in range(SEEDS):
                made = point_at(method, step, sparsity, chance, seed, lost)
                yield replace(made, epochs=spent)


def point_at(
    method: str,
    step: int,
    sparsity: float,
    chance: random.Random,
    seed: int = 0,
    lost: int | None = None,
) -> Point:
    """A point that a study might have measured."""
    layers = tuple(_layer(name, kind, shape, sparsity) for name, (kind, shape) in SHAPES.items())
    total = sum(math.prod(layer.shape) for layer in layers)
    zeros = sum(layer.zeros for layer in layers)
    rank = METHODS.index(method) if method in METHODS else 0
    fallen = round(200 * sparsity**6) + 20 * rank if lost is None else lost
    correct = 1800 - fallen
    digest = sha256(f"{method}-{step}-{seed}".encode()).hexdigest()
    return Point(
        method=method,
        level=(round(sparsity, 4),) if method != "dense" else (),
        step=step,
        seed=seed,
        digest=digest,
        scores=(
            accuracy("val", correct + chance.randrange(12), 2000),
            accuracy("test", 2 * correct + chance.randrange(24), 4000),
        ),
        sparsity=Share(zeros, total),
        conv_sparsity=Share(zeros // 8, total // 8),
        model_sparsity=Share(zeros, total + 458),
        parameters=total + 458,
        nonzero=total + 458 - zeros,
        masked_macs=11_000_000,
        nonzero_macs=11_000_000 - int(10_000_000 * sparsity),
        compact_parameters=total + 458 - zeros // 2,
        macs=11_000_000 - int(9_000_000 * sparsity**2),
        epochs=Epochs(50, 0, EPOCHS * (step + 1)),
        seconds=123.456,
        checkpoint=f"points/{digest[:20]}.safetensors",
        environment=environment(),
        curve=tuple(
            {"epoch": epoch, "loss": 1 / epoch + chance.random(), "val_accuracy": chance.random()}
            for epoch in range(1, EPOCHS + 1)
        ),
        latency=tuple(
            Latency(50, time, 0.9 * time, 1.1 * time, "torch-eager", 1, batch)
            for batch, time in ((1, chance.uniform(1e-3, 2e-3)), (64, chance.uniform(0.03, 0.05)))
        ),
        layers=layers,
        artifact_bytes=4 * (total - zeros) + chance.randrange(4096),
    )


def _layer(name: str, kind: str, shape: tuple[int, ...], sparsity: float) -> Layer:
    zeros = int(math.prod(shape) * sparsity)
    kept = max(1, round(shape[0] * (1 - sparsity)))
    return Layer(name, kind, shape, zeros, shape[0], kept)


def fill(folder: Path, points: list[Point], name: str) -> Store:
    """A finished study of these points, without its weights."""
    bases = {p.seed: p.digest for p in points if p.method == "dense"}
    runs = [
        Run(
            p.digest, "base" if p.method == "dense" else "point", p.method, p.level, p.step,
            p.step, p.seed, {} if p.method == "dense" else {"base": bases[p.seed]}, EPOCHS, {},
        )
        for p in points
    ]  # fmt: skip
    with Store.writing(folder) as store:
        store.begin({"name": name, "model": {"name": "conv4"}}, runs)
        for run, point in zip(runs, points, strict=True):
            store.record_end(store.record_start(run), run, "done", "", {"point": point.to_dict()})
        store.write_latencies({point.digest: point.latency for point in points})
    return Store(folder)


def first_picture(browser: Browser, path: Path) -> float:
    """Seconds from opening the file until its chart is on the screen, in a fresh context."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        opened = context.new_page()
        opened.add_init_script(FIRST_PICTURE)
        opened.goto(path.as_uri())
        opened.locator(".dot").first.wait_for(timeout=60_000)
        return float(opened.evaluate(SEEN)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    # In memory where there is some: a store waits for the disk with every point.
    shared = Path("/dev/shm")
    place = shared if shared.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder, sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        version = browser.version
        studies = {f"{n:,}": list(points_of(n)) for n in (10, 2000, 5000)}
        studies |= {"2,005: 20 methods, 20 levels, 5 seeds": list(twenty())}
        pages = {name: page.write(fill(Path(folder, str(place)), points, f"{len(points)}-points"))
                 for place, (name, points) in enumerate(studies.items())}  # fmt: skip
        first_picture(browser, pages["10"])
        times = {name: [first_picture(browser, path) for _ in range(options.runs)]
                 for name, path in pages.items()}  # fmt: skip
        for name, path in pages.items():
            low, middle, high = statistics.quantiles(times[name], n=4)
            rows.append([name, f"{path.stat().st_size:,}", f"{middle:.2f}",
                         f"{low:.2f} to {high:.2f}"])  # fmt: skip
        browser.close()
    write_report(
        options.out,
        title="The page: size, and time to the first picture",
        head=["points", "bytes", "first picture, s (median)", "quartiles"],
        rows=rows,
        runs=options.runs,
        notes=f"""
Each point carries six layers, 25 epochs of curves and two latencies. The time is from opening the
file (`file://`) in a fresh context of Chromium {version} until the chart has been painted.
""",
    )


if __name__ == "__main__":
    main()
