"""The figures that every study gets: a score against overall sparsity, and that of the convs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from secateur.point import Point
from secateur.report.figure import Picture
from secateur.report.plot import plot
from secateur.study.metrics import quality_of

AXES_DRAWN = ("sparsity", "conv_sparsity")
FORMS = ("png", "svg")


def figures(
    points: Iterable[Point],
    folder: Path,
    *,
    y: str = "",
    controls: Collection[str] = (),
) -> list[Path]:
    """Draw both figures, each as PNG and SVG, and write them into `folder`.

    A line joins the means of a method's levels and its shading is their 95 % band over seeds;
    one seed has none. Filled markers are on the frontier of the figure's own horizontal axis and
    the *validation* score, whichever score is drawn. The same points give the same bytes with
    the same matplotlib.

    Args:
        points: The points of one study.
        folder: Where to write; made if missing. A file is replaced whole or not at all.
        y: `val_accuracy`, `test_rmse`, ...; the first score on test data if empty. The figure says
            which.
        controls: Methods drawn lighter and dashed, that claim no place on the frontier.

    Returns:
        The four paths.

    Raises:
        UsageError: matplotlib is missing, or there are no points.
        UnknownNameError: The study has no score `y`.
        StoreError: The folder cannot be written.
    """
    there = tuple(points)
    y = y or quality_of(there, "test")
    pictures = {x: Picture(plot(there, x=x, y=y, controls=controls)) for x in AXES_DRAWN}
    return [
        picture.save(folder / f"{y}-{x}.{form}".replace("_", "-"))
        for x, picture in pictures.items()
        for form in FORMS
    ]
