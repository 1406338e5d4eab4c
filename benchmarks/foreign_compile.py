"""Networks of other people's making through `secateur.compile`, at 90 % zeros: right, and how fast.

    OMP_NUM_THREADS=1 python benchmarks/foreign_compile.py [PACKAGE[/NET] ...] [--each 5]
        [--quick] [--results FILE.jsonl] [--out benchmarks/foreign_compile.md]

Each net is compiled in a process of its own, on one thread, and compared with torch on its
example, on fresh inputs and on a batch of another size. `--each 5` takes every fifth of a package;
`--quick` times nothing and leaves torch's exporter to ONNX out, which takes most of the time.
Results are appended as they come; a net that has one in the file is not run again.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import torch
from foreign.journey import Builder, blame, build, fresh, mapped, run, tensors
from foreign.nets import PACKAGES
from foreign_nets import apart, preload
from torch import Tensor, nn

import secateur
from report import write_report
from secateur.errors import SecateurError
from secateur.foundation.run_example import batch_size, take_rows
from secateur.measure.latency import compare_within
from secateur.runtime.compiler.choice import ONNX
from secateur.runtime.compiler.packing import unsupported
from secateur.runtime.compiler.wholes import Wholes

SHARE = 0.9
TOLERANCE = 1e-4
NOISE = 4
FLOOR = 0.95
HEAD = (
    *("package", "net", "parameters", "right", "apart", "engine"),
    *("ONNX Runtime ÷ ours", "torch ÷ ours", "what fell back, and why"),
)
NOTES = f"""\
`apart`: the largest difference to the net in float64, as a share of the largest number of the
output; `right`: it is at most {TOLERANCE:.0e}, or {NOISE} times what torch's own float32 differs
by, on the example, on fresh inputs and on a batch of another size. The ratios are medians of passes
that are interleaved, on one thread; `-` where ONNX Runtime cannot have the net or nothing was
timed, 1 where it was chosen. What fell back: a graph that could not be had, engines left out,
operators without a kernel."""


def pruned(builder: Builder) -> tuple[nn.Module, Any]:
    """The net with zeros at random places in each layer but depthwise ones and embeddings.

    What is left is made larger, so that activations keep their size.
    """
    net, inputs = build(builder)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for module in net.modules():
            for name, weight in module.named_parameters(recurse=False):
                fits = name.startswith(("weight", "in_proj")) and weight.is_floating_point()
                if isinstance(module, nn.Embedding) or not fits or weight.dim() < 2:
                    continue
                if weight.shape[1] > 1:
                    kept = torch.rand(weight.shape, generator=generator) >= SHARE
                    weight.mul_(kept / (1 - SHARE) ** 0.5)
    return net.requires_grad_(False), inputs


def error(given: list[Tensor], expected: list[Tensor]) -> float:
    """The largest difference, as a share of the largest number of its tensor."""
    if [one.shape for one in given] != [one.shape for one in expected]:
        return float("inf")
    worst = 0.0
    for one, other in zip(given, expected, strict=True):
        finite = other.isfinite()
        if bool(finite.any()):
            apart = (one[finite].to(other.dtype) - other[finite]).abs().max()
            worst = max(worst, float(apart / other[finite].abs().max().clamp(min=1e-6)))
    return worst


def wide(net: nn.Module, inputs: Any) -> list[Tensor]:
    """What the net gives in float64; in float32 where it does not run in it."""
    try:
        other = mapped(inputs, lambda t: t.double() if t.is_floating_point() else t)
        return tensors(run(copy.deepcopy(net).double(), other))
    except Exception:
        return tensors(run(net, inputs))


def judged(net: nn.Module, engine: Any, inputs: Any) -> dict[str, Any]:
    """Whether an engine is right, on several inputs."""
    rows = [0, *[row % batch_size(inputs) for row in range(batch_size(inputs))]]
    worst, allowed, wrong = 0.0, TOLERANCE, []
    for name, given in (("example", inputs), ("fresh", fresh(inputs)), ("batch", None)):
        if given is None:
            given = take_rows(inputs, rows)
            given = tuple(given) if isinstance(inputs, tuple) else given
        try:
            expected = wide(net, given)
            noise = error(tensors(run(net, given)), expected)
        except Exception:  # not every net takes another batch, or other numbers
            continue
        found = error(tensors(run(engine, given)), expected)
        worst, limit = max(worst, found), max(TOLERANCE, NOISE * noise)
        allowed = max(allowed, limit)
        wrong += [name] if found > limit else []
    return {"apart": worst, "wrong": wrong, "right": not wrong}


def fallen(engine: Any, batch: int) -> list[str]:
    """What does not run on the kernels, and why."""
    choice = engine.choice(batch)
    found = [one for one in (engine.why_whole, choice.why) if one]
    found += [f"{name}: {why}" for name, why in choice.left_out.items()]
    nodes = engine.graph.inner if engine.graph is not None else ()
    counts = Counter(
        (unsupported(one), str(one.options.get("operator", one.kind))) for one in nodes
    )
    found += [f"{name} x{count}" for (why, name), count in counts.most_common() if why]
    return found


def timed(net: nn.Module, engine: Any, inputs: Any, seconds: float) -> dict[str, Any]:
    """Passes of torch and ONNX Runtime by those of the engine."""
    calls = {"ours": lambda: run(engine, inputs), "torch": lambda: run(net, inputs)}
    row: dict[str, Any] = {}
    if engine.choice(batch_size(inputs)).backend == ONNX:
        row["onnx"] = 1.0
    else:
        try:
            settings = {"batches": [batch_size(inputs)], "spins": False, "seconds": 0}
            dense = secateur.compile(net, inputs, backend=ONNX, threads=1, **settings)
            if dense.choice(1).backend == ONNX:
                calls["onnx"] = lambda: run(dense, inputs)
        except SecateurError:
            pass
    with torch.no_grad():
        times = compare_within(calls, seconds, rounds=(5, 100), rest=0.001)
    ours = times["ours"].median
    return row | {name: one.median / ours for name, one in times.items() if name != "ours"}


def _not_exported(wholes: Wholes, _program: object) -> None:
    wholes.left_out[ONNX] = "not tried"


def compiled(builder: Builder, *, seconds: float) -> dict[str, Any]:
    """Compile, compare and, in some seconds, time; what came of it."""
    net, inputs = pruned(builder)
    if not seconds:
        Wholes._export = _not_exported  # type: ignore[method-assign]
    row: dict[str, Any] = {"parameters": sum(one.numel() for one in net.parameters())}
    batch, stage = batch_size(inputs), "compile"
    try:
        begun = time.perf_counter()
        engine = secateur.compile(
            net, inputs, threads=1, batches=[batch], seconds=seconds, spins=False
        )
        row["compile"] = time.perf_counter() - begun
        row["engine"], row["fallen"] = engine.choice(batch).backend, fallen(engine, batch)
        stage = "compare"
        row |= judged(net, engine, inputs)
        stage = "time"
        row |= timed(net, engine, inputs, seconds) if seconds else {}
    except SecateurError as refusal:
        return {**row, "result": "refused", "stage": stage, "why": blame(refusal)}
    except Exception as failure:
        return {**row, "result": "failed", "stage": stage, "why": blame(failure)}
    return {**row, "result": "right" if row["right"] else "wrong"}


def main() -> None:
    """Run what is not in the results yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chosen", nargs="*")
    parser.add_argument("--each", type=int, default=1, help="Every so many-th net of a package.")
    parser.add_argument("--seconds", type=float, default=0.5, help="As for secateur.compile.")
    parser.add_argument("--quick", action="store_true", help="Only whether it is right.")
    parser.add_argument("--limit", type=float, default=240.0, help="Seconds for a net.")
    parser.add_argument("--results", type=Path, default=Path("foreign_compile.jsonl"))
    parser.add_argument("--out", type=Path, help="The table of all results so far.")
    options = parser.parse_args()
    preload()
    rows = [json.loads(one) for one in _lines(options.results)]
    done = {(row["package"], row["net"]) for row in rows}
    for package, nets in PACKAGES.items():
        for name in [*nets][:: options.each]:
            chosen = not options.chosen or {package, f"{package}/{name}"} & set(options.chosen)
            if (package, name) in done or not chosen:
                continue
            row = {"package": package, "net": name}
            seconds = 0.0 if options.quick else options.seconds
            work = partial(compiled, nets[name], seconds=seconds)
            row |= apart(work, seconds=options.limit)
            rows.append(row)
            with options.results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)
    if options.out:
        write_table(options.out, [row for row in rows if row["result"] != "unbuilt"])


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """One row a net, and the counts."""
    counts = Counter(row["result"] for row in rows)
    ratios = [row["onnx"] for row in rows if "onnx" in row]
    slow = sum(one < FLOOR for one in ratios)
    told = ", ".join(f"{count} {result}" for result, count in counts.most_common())
    slower = f"under {FLOOR} of ONNX Runtime {slow} of {len(ratios)}"
    notes = f"{len(rows)} nets: {told}; {slower}.\n\n{NOTES}"
    table = [_cells(row) for row in rows]
    write_report(
        path, title="Nets of other people, compiled", head=HEAD, rows=table, runs=1, notes=notes
    )


def _cells(row: dict[str, Any]) -> list[object]:
    why = [f"{row['result']} ({row.get('stage', 'run')}): {row['why']}"] if row.get("why") else []
    why += row.get("fallen", [])
    right = row["result"] + (f" on the {', the '.join(row['wrong'])}" if row.get("wrong") else "")
    return [
        row["package"],
        row["net"],
        row.get("parameters", ""),
        right,
        f"{row['apart']:.0e}" if "apart" in row else "",
        row.get("engine", ""),
        *(f"{row[name]:.2f}" if name in row else "-" for name in ("onnx", "torch")),
        "; ".join(why)[:400].replace("|", "\\|"),
    ]


if __name__ == "__main__":
    main()
