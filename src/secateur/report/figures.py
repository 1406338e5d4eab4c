"""The figures that every study gets: accuracy against overall sparsity, and that of the convs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from secateur.point import Point
from secateur.report.figure import Picture
from secateur.report.plot import plot

AXES_DRAWN = ("sparsity", "conv_sparsity")
FORMS = ("png", "svg")


def figures(
    points: Iterable[Point],
    folder: Path,
    *,
    y: str = "test_accuracy",
    controls: Collection[str] = (),
) -> list[Path]:
    """Draw both figures, each as PNG and SVG, and write them into `folder`.

    A line joins the means of a method's levels and its shading is their 95 % band over seeds;
    one seed has none. Filled markers are on the frontier of the figure's own horizontal axis and
    *validation* accuracy, whichever accuracy is drawn. The same points give the same bytes with
    the same matplotlib.

    Args:
        points: The points of one study.
        folder: Where to write; made if missing. A file is replaced whole or not at all.
        y: `test_accuracy` or `val_accuracy`; the figure says which.
        controls: Methods drawn lighter and dashed, that claim no place on the frontier.

    Returns:
        The four paths.

    Raises:
        UsageError: matplotlib is missing, or there are no points.
        UnknownNameError: `y` is neither accuracy.
        StoreError: The folder cannot be written.
    """
    there = tuple(points)
    pictures = {x: Picture(plot(there, x=x, y=y, controls=controls)) for x in AXES_DRAWN}
    return [
        picture.save(folder / f"{y}-{x}.{form}".replace("_", "-"))
        for x, picture in pictures.items()
        for form in FORMS
    ]
