"""Networks of other people's making, each sent through secateur in a process of its own.

    OMP_NUM_THREADS=1 python benchmarks/foreign_nets.py [PACKAGE[/NET] ...] [--onnx]
        [--results FILE.jsonl] [--out benchmarks/foreign_nets.md]

Results are appended as they come; a net that has one in the file is not run again.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import resource
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from foreign import journey
from foreign.nets import PACKAGES
from foreign.stand_in import stand_in

import secateur
from report import write_report

SECONDS, BYTES = 120, 12 << 30
HEAD = (
    *("package", "net", "parameters", "after", "free", "result", "prune + compact s"),
    *("forward s", "peak MiB"),
)
NOTES = """\
`equal`: masked and compact net agree on the example and on fresh inputs (a share of 1e-6 of the
largest output in float64, of 2e-4 where a net runs in float32 only), a training step in training
mode passes where the whole net passes one, the file is saved; `refused`: with operator and reason;
`uncut`: nothing was taken out; `failed`: not done in time, or an exception that is not ours. `free`
is the share of the computed channels that may go. Norms and zero vectors are disturbed first.
Peak is the resident set above what it was before."""


def _bounded(work: Callable[..., dict[str, Any]], *args: Any, pipe: Any) -> None:
    warnings.simplefilter("ignore")
    os.nice(5)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    try:
        pipe.send(work(*args))
    except BaseException as failure:
        pipe.send({"result": "unbuilt", "why": journey.blame(failure)})


def apart(work: Callable[..., dict[str, Any]], *args: Any, seconds: float) -> dict[str, Any]:
    """Run in a forked process, within bounds of time and memory."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_bounded, args=(work, *args), kwargs={"pipe": there})
    process.start()
    there.close()
    try:
        if here.poll(seconds):
            return here.recv()
        return {"result": "failed", "why": f"not done after {seconds:.0f} s"}
    except EOFError:
        return {"result": "failed", "why": "the process died"}
    finally:
        process.kill()
        process.join()


def one(package: str, name: str, *, onnx: bool, seconds: float) -> dict[str, Any]:
    """All of one net's journey."""
    builder = PACKAGES[package][name]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        row = {"package": package, "net": name}
        row |= apart(journey.cut, builder, Path(folder), seconds=seconds)
        if row["result"] == "equal":
            row |= apart(journey.load, builder, Path(folder), seconds=seconds)
            if onnx:
                row |= apart(journey.export, builder, Path(folder), seconds=seconds)
        row["wall"] = time.perf_counter() - started
    return row


def preload() -> None:
    """Import the slow packages once; the processes of the nets are forked from this one."""
    import onnxscript  # noqa: F401
    import transformers.modeling_utils
    import transformers.models.auto.modeling_auto  # noqa: F401

    for name in secateur.__all__:
        getattr(secateur, name)
    stand_in("torchvision", "torchaudio")
    for package in ("timm", "pytorchcv.model_provider", "monai.networks.nets"):
        importlib.import_module(package)


def main() -> None:
    """Run what is not in the results yet."""
    parser = argparse.ArgumentParser()
    parser.add_argument("chosen", nargs="*")
    parser.add_argument("--onnx", action="store_true")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--results", type=Path, default=Path("foreign_nets.jsonl"))
    parser.add_argument("--out", type=Path, help="the table of all results so far")
    options = parser.parse_args()
    preload()
    done = set()
    if options.results.exists():
        rows = [json.loads(line) for line in options.results.read_text().splitlines()]
        done = {(row["package"], row["net"]) for row in rows}
    for package, nets in PACKAGES.items():
        for name in nets:
            if (package, name) in done:
                continue
            if options.chosen and not {package, f"{package}/{name}"} & set(options.chosen):
                continue
            row = one(package, name, onnx=options.onnx, seconds=options.seconds)
            with options.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            short = {k: (round(v, 2) if isinstance(v, float) else v) for k, v in row.items()}
            print(json.dumps(short), flush=True)
    if options.out:
        rows = [json.loads(line) for line in options.results.read_text().splitlines()]
        write_table(options.out, [row for row in rows if row["result"] != "unbuilt"])


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """One row a net, and the counts of each result."""
    counts = Counter(row["result"] for row in rows)
    written = [row for row in rows if str(row.get("onnx", "")).startswith("yes")]
    loaded = sum(row.get("loaded") == "yes" for row in rows)
    notes = (
        f"{len(rows)} nets: "
        + ", ".join(f"{count} {result}" for result, count in counts.most_common())
        + f"; {loaded} files loaded in a process of their own with the same outputs, "
        f"{len(written)} written as ONNX.\n\n{NOTES}"
    )
    table = [_cells(row) for row in rows]
    write_report(path, title="Nets of other people", head=HEAD, rows=table, runs=1, notes=notes)


def _cells(row: dict[str, Any]) -> list[object]:
    why = row.get("why", "").replace("|", "\\|")
    result = row["result"] + (f" ({row.get('stage', 'run')}): {why[:300]}" if why else "")
    later = [
        f"{name}: {row[name][:120]}".replace("|", "\\|")
        for name in ("trained", "loaded", "onnx")
        if row.get(name, "yes") != "yes"
    ]
    share = f"{row['free'] / row['channels']:.2f}" if row.get("channels") else ""
    seconds = f"{row['prune'] + row['compact']:.1f}" if "compact" in row else ""
    return [
        row["package"],
        row["net"],
        row.get("before", ""),
        row.get("after", ""),
        share,
        "; ".join([result, *later]),
        seconds,
        f"{row['forward']:.2f}" if "forward" in row else "",
        f"{row['peak']:.0f}" if "peak" in row else "",
    ]


if __name__ == "__main__":
    main()
