"""`secateur inspect`: a model file, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE
from rich.table import Table

from secateur.cli.app import app
from secateur.cli.names import models
from secateur.cli.printing import print_table

if TYPE_CHECKING:
    from secateur.artifact.inspection import Inspection, StoredLayer

_LONGEST = 512
"""Letters of one of the file's words; `--json` has all."""

_MOST_ROWS = 5000
"""A table takes a millisecond for each, and some memory."""

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur inspect small.safetensors
  secateur inspect small.onnx --json | jq .totals
  secateur inspect small.safetensors --model mynets:build
"""


@app.command("inspect", epilog=EXAMPLES)
def inspect_file(
    file: Annotated[Path, typer.Argument(help="A safetensors or ONNX file.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="Your own net's package.module:function: it must fit the file, and tells what the "
            "file does not.",
            autocompletion=models,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every count, as JSON.")] = False,
) -> None:
    """Show what is in a model file, and where it came from, without building the model.

    Every byte is checked against the SHA-256 in the file; nothing in it is run. Only with --model
    the net is built, by your own function.
    """
    from secateur.artifact.inspect import inspect

    found = inspect(file, model)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
        return
    print_table(_table(found))
    for line in _summary(found):
        typer.echo(line)
    if model is not None:
        typer.echo(f"fits  {model}")


def _table(found: Inspection) -> Table:
    table = Table(box=SIMPLE)
    for head in ("layer", "kind", "shape"):
        table.add_column(head)
    for head in ("kept", "parameters", "zeros", "MACs", "bytes"):
        table.add_column(head, justify="right")
    for layer in found.layers[:_MOST_ROWS]:
        table.add_row(*_cells(layer))
    return table


def _cells(layer: StoredLayer) -> tuple[str, ...]:
    weight = layer.weight
    shape = kept = "-"
    if weight is not None:
        shape = _by(weight.shape)
        if weight.dense_shape != weight.shape:
            shape = f"{_by(weight.dense_shape)} → {shape}"
        pairs = list(zip(weight.shape, weight.dense_shape, strict=True))
        kept = f"{pairs[0][0]}/{pairs[0][1]}" if pairs else "-"
    return (
        _word(layer.name) or "(net)",
        _word(layer.kind) or "-",
        shape,
        kept,
        f"{layer.parameters:,}",
        _count(layer.zeros),
        _count(layer.macs),
        f"{layer.stored:,}",
    )


def _summary(found: Inspection) -> list[str]:
    totals = found.totals()
    checked = "every byte checked" if found.checked else "without a checksum"
    lines = [f"{found.kind} file, {found.bytes:,} bytes, {checked}"]
    if len(found.layers) > _MOST_ROWS:
        lines[:0] = [f"... and {len(found.layers) - _MOST_ROWS:,} more layers: --json has all."]
    dense = totals["dense_parameters"]
    before = f" of {dense:,} before channels went" if dense != totals["parameters"] else ""
    lines.append(f"parameters  {_count(totals['parameters'])}{before}")
    for name, part, whole in (
        ("model sparsity", "zeros", "parameters"),
        ("sparsity", "prunable_zeros", "prunable"),
        ("conv sparsity", "conv_zeros", "conv"),
    ):
        lines.append(f"{name}  {_share(totals[part], totals[whole])}")
    if totals["macs"] is not None:
        lines.append(f"MACs  {totals['macs']:,}, {_count(totals['nonzero_macs'])} of them non-zero")
    masks = found.origin.get("masks")
    if isinstance(masks, dict):  # the words of an ONNX file may have any name
        lines.append(f"masks  {_share(masks['total'] - masks['kept'], masks['total'])} pruned")
    if found.skipped:
        lines.append(f"skipped  {', '.join(map(_word, found.skipped))}")
    for name in ("source", "run", "metrics"):
        told = found.origin.get(name)
        if isinstance(told, dict):
            words = (f"{_word(key)} {_word(value)}" for key, value in told.items() if value)
            lines.append(f"{name}  {', '.join(words)}")
    return lines


def _word(value: object) -> str:
    """A value of the file's own words on one line; a share with its integers becomes one number."""
    match value:
        case {"part": int(part), "total": int(total)} if 0 <= part <= total:
            return _share(part, total)
        case str():
            text = value[:_LONGEST] if value[:_LONGEST].isprintable() else repr(value[:_LONGEST])
            return text if len(value) <= _LONGEST else f"{text}…"
        case _:
            return _word(json.dumps(value))


def _share(part: int | None, whole: int | None) -> str:
    if part is None or not whole:
        return "-"
    return f"{part / whole:.4f} ({part:,} of {whole:,})"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
