"""`secateur bench`: how long a model file takes, beside the dense network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from secateur.cli.app import app
from secateur.cli.names import engines as engine_names
from secateur.cli.names import models
from secateur.cli.printing import print_table
from secateur.errors import UsageError
from secateur.foundation.timed_engines import ENGINES

if TYPE_CHECKING:
    from secateur.artifact.bench import Benchmark, Row
    from secateur.point import Timing

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur bench small.safetensors
  secateur bench small.onnx --engines onnxruntime --batch 1 --threads 1,2
  secateur bench sparse.safetensors --engines onnxruntime,secateur
"""


@app.command("bench", epilog=EXAMPLES)
def bench_file(
    file: Annotated[Path, typer.Argument(help="A safetensors file of ours, or an ONNX file.")],
    dense: Annotated[
        Path | None, typer.Option(help="The dense net's file; built afresh by default.")
    ] = None,
    engines: Annotated[
        str, typer.Option(help="With commas.", autocompletion=engine_names)
    ] = ",".join(ENGINES),
    batch: Annotated[str, typer.Option(help="Examples of a pass, with commas.")] = "1,64",
    threads: Annotated[str, typer.Option(help="Threads inside an operator, with commas.")] = "1",
    repeats: Annotated[int, typer.Option(min=1, help="Timed rounds.")] = 50,
    model: Annotated[
        str | None,
        typer.Option(
            help="Your own net's package.module:function; it gets shape, classes and options by "
            "name, from the file.",
            autocompletion=models,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure, as JSON.")] = False,
) -> None:
    """Time a model file beside its dense net, interleaved, in one run.

    A ratio marked ~ is within the noise: the quartile ranges of the two overlap.
    """
    from secateur.artifact.bench import bench

    made = bench(
        file,
        dense=dense,
        build_model=model,
        engines=[name.strip() for name in engines.split(",") if name.strip()],
        batches=_numbers("--batch", batch),
        threads=_numbers("--threads", threads),
        repeats=repeats,
    )
    if as_json:
        typer.echo(json.dumps(made.to_dict(), indent=2))
        return
    print_table(_table(made))
    machine = made.environment
    typer.echo(
        f"Median [quartiles] of {repeats} interleaved rounds; torch {machine['torch']} (eager), "
        f"{machine['cpu']}, {machine['cores']} cores. ~ within the noise. "
        "ONNX Runtime's threads rest between passes."
    )


def _numbers(option: str, text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(
        part.isdecimal() and len(part) < 8 and 0 < int(part) < 1 << 20 for part in parts
    ):
        raise UsageError(
            "timing a model file",
            option,
            given=repr(text),
            expected="positive integers with commas",
            remedy=f"For example: {option} 1,64.",
        )
    return [int(part) for part in parts]


HEADS = (
    "engine (this / dense)",
    "threads",
    "batch",
    "this, ms [quartiles]",
    "dense, ms [quartiles]",
    "times faster",
    "this, examples/s",
    "memory, this/dense",
)


def _table(made: Benchmark) -> Table:
    table = Table(box=SIMPLE)
    for head in HEADS:
        table.add_column(head, justify="left" if head is HEADS[0] else "right")
    for row in made.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "-" if row.speedup is None else f"{row.speedup:.2f}x"
    return (
        _engine(row),
        str(row.threads),
        str(row.batch),
        _milliseconds(row.pruned),
        _milliseconds(row.dense) if row.dense else "-",
        f"~{ratio}" if row.is_within_noise else ratio,
        f"{row.throughput:,.0f}",
        f"{_megabytes(row.pruned_memory)}/{_megabytes(row.dense_memory)}",
    )


def _engine(row: Row) -> str:
    """Ours with what it chose, for this and the dense net."""
    plans = " / ".join(plan for plan in (row.pruned_plan, row.dense_plan) if plan)
    return f"{row.engine} ({plans})" if plans else row.engine


def _milliseconds(timing: Timing) -> str:
    low, middle, high = (1000 * value for value in (timing.q1, timing.median, timing.q3))
    return f"{middle:.3g} \\[{low:.3g}, {high:.3g}]"


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.1f} MB"
