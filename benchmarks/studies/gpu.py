"""ResNet-56 and VGG-19 by several methods on one GPU, in under eight minutes.

    PYTHONPATH=src python benchmarks/studies/gpu.py --out DIR [--seconds 450] [--workers 6]

Both studies (`resnet56.toml`, `vgg19-bn.toml`) run side by side, a seed after the other. When the
seconds are over, or on SIGTERM, the sweeps are ended, and what they have finished is written:
DIR/resnet56.json and DIR/vgg19-bn.json, and the sweeps' own words to DIR/NAME.log. A second call
with the same --work goes on. `--device cpu --small` tries the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from results import found_in, write

HERE = Path(__file__).parent
STUDIES = ("resnet56", "vgg19-bn")
LOOK = 0.5
WRITE = 30
PATIENCE = 20
SMALL = {
    "flip = true, crop = 2": "train = 256, val = 100, test = 100",
    "base_epochs = 24": "base_epochs = 1",
    "retrain_epochs = 12": "retrain_epochs = 2",
    "sparsity_epochs = 4": "sparsity_epochs = 1",
}
"""What stands instead in a study that only tries the script."""


@dataclass
class Sweep:
    """One study, a seed after the other, each a sweep that goes on in one run folder."""

    name: str
    folder: Path
    log: Path
    command: Sequence[str]
    seeds: int
    started: int = 0
    ends: list[int] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None

    def look(self) -> bool:
        """Start the next seed where the last has ended; False once all have."""
        if self.process is not None:
            if (end := self.process.poll()) is None:
                return True
            self.ends.append(end)
            self.process = None
        if self.started == self.seeds:
            return False
        self.started += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "--seeds", str(self.started)], stdout=log, stderr=log
            )
        return True

    def stop(self) -> None:
        """End it as a user does who wants to go on later."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> None:
        """Wait for the end that was asked for; not for ever."""
        if self.process is None:
            return
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class StoppedError(Exception):
    """The time is over, or somebody ended this script."""


def study_of(name: str, asked: argparse.Namespace) -> Path:
    """The study file, or a small one in the folder of the work."""
    file = HERE / f"{name}.toml"
    if not asked.small:
        return file
    text = file.read_text(encoding="utf-8")
    for setting, small in SMALL.items():
        text = text.replace(setting, small)
    asked.work.mkdir(parents=True, exist_ok=True)
    file = Path(asked.work, file.name)
    file.write_text(text, encoding="utf-8")
    return file


def sweep_of(name: str, asked: argparse.Namespace) -> Sweep:
    """The sweep of one study."""
    folder = asked.work / name
    command = [sys.executable, "-m", "secateur", "sweep", str(study_of(name, asked))]
    command += ["--device", asked.device, "--workers", str(asked.workers), "--threads", "1"]
    command += ["--no-timing", "--out", str(folder)]
    return Sweep(name, folder, asked.out / f"{name}.log", command, asked.seeds)


def keep(sweeps: Sequence[Sweep], out: Path, seconds: float) -> None:
    """Write down what there is by now."""
    for sweep in sweeps:
        if not (sweep.folder / "study.sqlite").exists():
            continue
        try:
            found = found_in(sweep.folder)
        except Exception as error:  # a store that is being made; the next look will do
            print(f"{sweep.name}: nothing to read yet ({error})", flush=True)
            continue
        summary = {"study": sweep.name, "seconds": round(seconds), "ends": sweep.ends}
        write(out / f"{sweep.name}.json", {**summary, **found})
        print(
            f"{seconds:.0f} s {sweep.name}: {len(found['points'])} points, "
            f"{len(found['failures'])} failures, ends {sweep.ends}",
            flush=True,
        )


def looked_after(sweeps: Sequence[Sweep]) -> bool:
    """Have each go on where it can; False once all have ended."""
    running = [sweep.look() for sweep in sweeps]
    return any(running)


def watch(sweeps: Sequence[Sweep], out: Path, begun: float, seconds: float) -> None:
    """Look after the sweeps until all have ended, or the time is over."""
    written = begun
    while looked_after(sweeps):
        time.sleep(LOOK)
        now = time.monotonic()
        if now - begun > seconds:
            raise StoppedError
        if now - written > WRITE:
            keep(sweeps, out, now - begun)
            written = now


def stopped(*_: object) -> None:
    raise StoppedError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="run folders; a temporary one by default")
    parser.add_argument("--seconds", type=float, default=450)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=6, help="of each of the two sweeps")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", choices=STUDIES, nargs="*", default=STUDIES)
    asked = parser.parse_args()
    asked.work = asked.work or Path(tempfile.mkdtemp(prefix="secateur-gpu-"))
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stopped)
    begun = time.monotonic()
    sweeps = [sweep_of(name, asked) for name in asked.only]
    try:
        watch(sweeps, asked.out, begun, asked.seconds)
    except StoppedError:
        print(f"stopped after {time.monotonic() - begun:.0f} s", flush=True)
    finally:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_IGN)
        for sweep in sweeps:
            sweep.stop()
        for sweep in sweeps:
            sweep.wait()
        keep(sweeps, asked.out, time.monotonic() - begun)


if __name__ == "__main__":
    main()
