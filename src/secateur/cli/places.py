"""Places: the options of every command that performs runs, of where it performs them."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:N or mps.",
        autocompletion=lambda: ["auto", "cpu", "cuda", "mps"],
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; chosen for the machine by default.")
]
Threads = Annotated[
    int | None, typer.Option(min=1, max=4096, help="Of each run; chosen for the machine.")
]
Timeout = Annotated[
    float | None,
    typer.Option(help="Seconds after which a run is given up; the others go on."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Perform the runs on a Ray cluster: auto, HOST:PORT, or local.",
        autocompletion=lambda: ["auto", "local"],
    ),
]
CpusPerRun = Annotated[float, typer.Option(help="On Ray; fractions too.")]
GpusPerRun = Annotated[float, typer.Option(help="On Ray; fractions too.")]
