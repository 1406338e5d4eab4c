"""A figure as bytes, in whichever format is wanted, the same for the same points."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from secateur.errors import UsageError
from secateur.report import caption
from secateur.report.drawing import draw
from secateur.report.file import write_whole
from secateur.report.plot import Plot
from secateur.report.style import styled
from secateur.study.metrics import axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 200
# Neither a date nor a version: the same points are the same bytes with the same matplotlib.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FORMATS = tuple(_METADATA)


class Picture:
    """A figure that can be saved, and that a notebook shows.

    Args:
        plot: What it shows.
    """

    _figure: Figure | None = None

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self._drawn: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"Picture({self.alternative})"

    @property
    def alternative(self) -> str:
        """The picture in a sentence, for whoever cannot see it."""
        methods = ", ".join(self.plot.lines) or "the dense net"
        across = axis(self.plot.x, self.plot.points).label
        return f"{caption.heading(self.plot)} against {across}: {methods}"

    def bytes(self, form: str) -> bytes:
        """The picture as a file of the form `png`, `svg` or `pdf`.

        Raises:
            UsageError: matplotlib is missing, or this is not a form.
        """
        if form not in FORMATS:
            raise _unknown(f".{form}")
        if form not in self._drawn:
            with styled():
                self._figure = self._figure or self.draw()
                self._drawn[form] = _file(self._figure, form)
        return self._drawn[form]

    def draw(self) -> Figure:
        """The figure, on a canvas of its own."""
        return draw(self.plot)

    def save(self, path: str | Path) -> Path:
        """Write the picture; the path's suffix says in which form.

        Raises:
            UsageError: matplotlib is missing, or the suffix is none of `.png`, `.svg`, `.pdf`.
            StoreError: The file cannot be written.
        """
        target = Path(path)
        form = form_of(target)
        return write_whole(target, self.bytes(form), "writing a figure")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"image/svg+xml": self.bytes("svg").decode(), "text/plain": repr(self)}


def _file(figure: Figure, form: str) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format=form, dpi=DPI, metadata=_METADATA[form])
    return image.getvalue()


def form_of(path: Path) -> str:
    """The form that a path's suffix names.

    Raises:
        UsageError: It names none.

    Example:
        >>> form_of(Path("figure.PDF"))
        'pdf'
    """
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise _unknown(path.name)
    return form


def _unknown(given: str) -> UsageError:
    return UsageError(
        "choosing a figure's format",
        "the file's suffix",
        given=repr(given),
        expected=f"one of {', '.join(f'.{form}' for form in FORMATS)}",
        remedy="Name the file accordingly: frontier.pdf.",
    )
