from __future__ import annotations

from io import StringIO

from rich.console import Console

from secateur.report.rank_table import caption_of, show_ranks
from secateur.study.aggregate import Estimate
from secateur.study.ranking import Rank, Ranking


def test_a_name_that_looks_like_markup_is_shown_as_it_is_and_controls_are_marked() -> None:
    ranks = (Rank("[red]x", Estimate(1.0, 2, 0.25), False), Rank("y", Estimate(2, 1, None), True))
    ranking = Ranking("weights", ("0.5", "0.9"), 2, ranks, ("late",))
    text = StringIO()
    show_ranks(Console(file=text, width=200), ranking)
    rows = [line.split() for line in text.getvalue().splitlines()]
    assert ["[red]x", "1.00", "±0.25"] in rows
    assert ["y", "(control)", "2.00", "-"] in rows
    assert "Without all of these levels and seeds: late." in caption_of(ranking)
    assert "late" not in caption_of(Ranking("weights", ("0.5",), 2, ranks, ()))
