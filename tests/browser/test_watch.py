"""`secateur watch` in a browser during a real sweep: a point appears without a reload."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

PATIENCE = 120

# Training waits for as long as there is a file `hold`: however slow the machine is, the browser
# sees the sweep before its first point and after it.
NET = """
import time
from pathlib import Path
from torch import nn

class Net(nn.Sequential):
    def forward(self, x):
        while self.training and Path("hold").exists():
            time.sleep(0.05)
        return super().forward(x)

def net(shape, classes):
    return Net(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(400, classes))
"""
STUDY = """
name = "tiny"
model = "tiny:net"
levels = [0.4, 0.7]
data = { name = "shapes", options = { train = 40, val = 10, test = 10, size = 12 } }
training = { base_epochs = 1, retrain_epochs = 1 }
[methods.magnitude]
"""


def test_a_point_appears_without_a_reload(make_bench: Callable[..., Any], browser: Any) -> None:
    bench = make_bench(NET, STUDY)
    hold = bench.folder / "hold"
    hold.touch()
    with ExitStack() as ending:
        watching = ending.enter_context(bench.start("watch", "run"))
        ending.callback(watching.kill)
        url = watching.stdout.readline().split()[3]
        page = browser.new_page()
        ending.callback(page.close)
        page.set_default_timeout(1000 * PATIENCE)
        complaints: list[str] = []
        loads: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("framenavigated", lambda frame: loads.append(frame.url))
        page.goto(url)
        assert "no study yet" in page.title()

        sweeping = ending.enter_context(
            bench.start("sweep", "tiny.toml", "--out", "run", "--no-timing")
        )
        ending.callback(sweeping.kill)
        # The page that waits looks again by itself, and becomes the study's.
        page.locator("#live-runs li", has_text="dense base seed 0").wait_for()
        rows = page.locator("#table tbody tr")
        assert rows.count() == 0
        before = len(loads)
        hold.unlink()
        rows.nth(0).wait_for()
        rows.nth(2).wait_for()
        page.locator("#live-state", has_text="Finished").wait_for()
        assert rows.count() == 3
        assert "magnitude" in rows.nth(2).inner_text()
        assert len(loads) == before  # the very page, and not another
        assert complaints == []

        assert sweeping.wait(timeout=PATIENCE) == 0
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=PATIENCE)
        assert (watching.returncode, out) == (0, "")
        assert "Traceback" not in err
