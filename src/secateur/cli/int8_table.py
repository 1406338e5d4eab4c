"""The INT8 table: what a quantised file scores, weighs and takes, beside the float32 one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table

if TYPE_CHECKING:
    from secateur.point import Score, Timing
    from secateur.study.int8 import Quantised


def int8_table(found: Quantised) -> Table:
    """The table that `secateur export --int8` prints.

    Args:
        found: What was measured.
    """
    table = Table(
        box=SIMPLE,
        caption=f"Calibrated on {found.examples} training examples; test data choose nothing.",
        caption_justify="left",
    )
    table.add_column("")
    table.add_column("float32", justify="right")
    table.add_column("INT8", justify="right")
    for row in _rows(found):
        table.add_row(*row)
    return table


def one_line(found: Quantised) -> str:
    """What a point's INT8 file scores and weighs, with the float32 one's before it."""
    scores = ", ".join(f"{label} {a} → {b}" for label, a, b in _rows(found) if label != "bytes")
    return f"{scores}; {found.bytes[0]:,} bytes"


def _rows(found: Quantised) -> Iterator[tuple[str, str, str]]:
    before = {one.name: one for one in found.point.scores}
    for score in found.scores:
        known = before.get(score.name)
        label = f"{'test' if score.split == 'test' else 'validation'} {score.label or score.metric}"
        yield label, "-" if known is None else _value(known), _value(score)
    small, whole = found.bytes
    yield "bytes", f"{whole:,}", f"{small:,}"
    for quick, slow in found.latency:
        yield f"ms at batch {quick.batch} [quartiles]", _milliseconds(slow), _milliseconds(quick)


def _value(score: Score) -> str:
    return f"{score.value:.4f}" if score.unit == "share" else f"{score.value:.4g}"


def _milliseconds(timing: Timing) -> str:
    low, middle, high = (1000 * value for value in (timing.q1, timing.median, timing.q3))
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"
