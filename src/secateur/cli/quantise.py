"""`secateur quantise`: points of a study in INT8, measured and shown beside the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secateur.cli.app import app
from secateur.cli.frontier import draw, print_frontier
from secateur.cli.int8_table import one_line
from secateur.cli.names import RunFolder
from secateur.cli.names import points as point_names
from secateur.cli.shipping import OwnStudy
from secateur.errors import UsageError
from secateur.point import Point
from secateur.study.aggregate import replicates
from secateur.study.frontier import frontier as non_dominated
from secateur.study.metrics import quality_of
from secateur.study.point_names import chosen_point, matching
from secateur.study.store import Store
from secateur.study.study import CONTROLS

if TYPE_CHECKING:
    from secateur.study.int8 import Quantised

# The first line keeps the paragraph from being wrapped.
EXAMPLES = """\b
Examples:
  secateur quantise runs/demo
  secateur quantise runs/demo --point dense --point l1-filter:0.5 --point magnitude:0.9
  secateur quantise runs/mine --study study.toml
"""


@app.command(epilog=EXAMPLES)
def quantise(
    run: RunFolder,
    point: Annotated[
        list[str] | None,
        typer.Option(
            help="method, method:level or method:level:seed; may be given again.",
            autocompletion=point_names,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every point.")] = False,
    study: OwnStudy = None,
    timing: Annotated[
        bool, typer.Option(help="Time the files, and in the same rounds every point anew.")
    ] = True,
    figures: Annotated[bool, typer.Option(help="Draw the figures again.")] = True,
) -> None:
    """Quantise points of a study to INT8, and show them as points of its own.

    Those on the frontier and the dense nets, if none is named. ONNX Runtime's static quantiser is
    calibrated on the study's training data; its file lies in RUN/exports. Table, figures, page and
    picks then have `magnitude+int8` beside `magnitude`.
    """
    from secateur.study.quantising import levels_to_quantise, quantise_points

    store = Store(run)
    there = store.points()
    if point and every:
        raise _said_twice()
    if every:
        wanted = list(there)
    elif point:
        wanted = [one for name in point for one in _meant(there, name, run)]
    else:
        best = non_dominated(replicates(there), ("sparsity", quality_of(there)), CONTROLS)
        wanted = levels_to_quantise(there, ((one.method, one.step) for one in best))
    store.close()

    def tell(one: Point, found: Quantised, path: Path) -> None:
        typer.echo(f"{one.method} {one.level_name} seed {one.seed}: {one_line(found)}: {path}")

    once = {one.digest: one for one in wanted}
    quantise_points(run, list(once.values()), study, timing=timing, on_point=tell)
    store = Store(run)
    print_frontier(store)
    if figures:
        draw(store)


def _meant(points: tuple[Point, ...], name: str, run: Path) -> list[Point]:
    """All that a name means: every seed of a level, and every level of a method."""
    return matching(points, name) or [chosen_point(points, name, run)]


def _said_twice() -> UsageError:
    return UsageError(
        "quantising to INT8",
        "which points",
        given="said twice, by --point and by --all",
        expected="one of the two",
        remedy="Leave one out.",
    )
