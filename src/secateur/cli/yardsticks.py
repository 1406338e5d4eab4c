"""`secateur yardsticks`: what papers have published, beside what it is on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from secateur.cli.app import app
from secateur.cli.frontier import tell_failures
from secateur.cli.places import Device, Threads, Workers
from secateur.cli.printing import print_table
from secateur.cli.progress import Progress
from secateur.cli.stopping import TERMINATED, Terminated, terminable
from secateur.cli.sweep import FAILED, INTERRUPTED, notes
from secateur.report.file import write_whole
from secateur.study.observer import Observer, Silent
from secateur.study.store import Store
from secateur.yardsticks.published import YARDSTICKS, chosen
from secateur.yardsticks.studies import DATA, of_data, specs
from secateur.yardsticks.table import NOTE, protocol, table
from secateur.yardsticks.verdict import Verdict, verdicts

if TYPE_CHECKING:
    from secateur.yardsticks.readings import Found

FILE = "yardsticks.json"

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur yardsticks
  secateur yardsticks --only han-lenet-5,snip-lenet-5-98
  secateur yardsticks --data mnist --size full
  secateur yardsticks --data digits.npz
"""


@app.command(epilog=EXAMPLES)
def yardsticks(
    data: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(DATA)}, or an .npz file of grey images.",
            autocompletion=lambda: list(DATA),
        ),
    ] = "fashion-mini",
    size: Annotated[
        Literal["small", "full"],
        typer.Option(help="small: under 15 minutes on two cores; full: hours."),
    ] = "small",
    only: Annotated[
        str | None,
        typer.Option(
            help="Only these, with commas.",
            autocompletion=lambda: [one.name for one in YARDSTICKS],
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the run folders are; runs/yardsticks-DATA-SIZE.")
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, on standard output.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Nothing but errors and the table at the end.")
    ] = False,
) -> None:
    """Run the studies of the literature, and print what is published against what it is here.

    The papers' figures are of MNIST and CIFAR-10. On other data a loss is held against the
    published loss, which says how far the method comes, and not whether the paper is right. The
    same command goes on where it was stopped.
    """
    words = only.split(",") if only else []
    wanted = chosen([word.strip() for word in words], of_data(data))
    studies = list(dict.fromkeys(one.study for one in wanted))
    protocols = {name: protocol(next(iter(specs(name, data, size).values()))) for name in studies}
    folder = out or Path("runs", f"yardsticks-{Path(data).stem}-{size}")
    # torch is loaded only once the words are known to be right.
    from secateur.measure.environment import environment
    from secateur.yardsticks.sweeps import sweep

    begun = time.monotonic()
    found: list[Verdict] = []

    def tell(so_far: dict[str, Found]) -> None:
        found[:] = verdicts(wanted, so_far)
        about = {
            "data": data,
            "size": size,
            "seconds": round(time.monotonic() - begun),
            "environment": environment(),
            "protocols": protocols,
        }
        _write(folder / FILE, about, found)

    @contextmanager
    def watch(name: str, _: Path) -> Iterator[Observer]:
        if quiet:
            yield Silent()
            return
        typer.echo(f"{name}:", err=True)
        with Progress() as progress:
            yield progress

    try:
        with terminable(), notes():
            sweep(
                studies,
                folder,
                data,
                size,
                device=device,
                workers=workers,
                threads=threads,
                watch=watch,
                tell=tell,
            )
    except KeyboardInterrupt as stopped:
        typer.echo(f"Stopped. The same command goes on where it was: {folder}", err=True)
        raise typer.Exit(TERMINATED if isinstance(stopped, Terminated) else INTERRUPTED) from None
    if as_json:
        typer.echo((folder / FILE).read_text(encoding="utf-8"), nl=False)
    else:
        print_table(table(found))
        typer.echo(NOTE)
        for name, one_line in protocols.items():
            typer.echo(f"{name}: {one_line}.")
        passed = sum(one.passed for one in found)
        typer.echo(f"{passed} of {len(found)} passed. {folder / FILE}")
    if any(one.word == "missing" for one in found):
        for study in studies:
            tell_failures(Store(folder / study))
        raise typer.Exit(FAILED)


def _write(path: Path, about: dict[str, Any], found: list[Verdict]) -> None:
    values = {**about, "yardsticks": [one.to_dict() for one in found]}
    write_whole(path, (json.dumps(values, indent=1) + "\n").encode(), "writing the yardsticks")
