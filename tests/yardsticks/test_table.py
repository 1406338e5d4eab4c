"""The table of yardsticks."""

import io

from rich.console import Console

from secateur.yardsticks.table import number, ours, table

from .test_verdict import of


def test_every_row_has_both_figures_and_the_word() -> None:
    console = Console(file=io.StringIO(), width=200)
    console.print(table([of(0.5, False, 0.6, 0.4, 0.7), of(40, True, 39)]))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for word in ("+0.50", "+0.57 ±0.38", "within band", "FAIL"):
        assert word in text


def test_figures_have_their_units() -> None:
    assert (number(0.0, "points"), number(40, "x"), number(6.98, "x")) == ("+0.00", "40x", "6.98x")
    assert ours(of(0.5, False, 0.25)) == "+0.25"
