"""The rank table: where each method of a study stands, for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secateur.study.ranking import GROUPS, Ranking


def rank_table(ranking: Ranking) -> Table:
    """A ranking as a table, the best method first.

    Args:
        ranking: Of `secateur.study.ranking.rankings`.

    Returns:
        A Rich table of a method's mean rank, and half the width of its band.
    """
    made = Table(
        box=SIMPLE,
        show_edge=False,
        pad_edge=False,
        title=GROUPS[ranking.group],
        title_justify="left",
        caption=Text(caption_of(ranking)),
        caption_justify="left",
        header_style="bold",
    )
    for head in ("method", "mean rank", "band"):
        made.add_column(head, justify="left" if head == "method" else "right")
    for one in ranking.ranks:
        band = "-" if one.rank.band is None else f"±{one.rank.band:.2f}"
        # As text: a method of somebody else's store may look like markup.
        name = Text(f"{one.method} (control)" if one.control else one.method)
        made.add_row(name, f"{one.rank.mean:.2f}", band, style="dim" if one.control else "")
    return made


def caption_of(ranking: Ranking) -> str:
    """What is ranked, in words."""
    words = (
        f"1 is the best. Within each of {ranking.seeds} seeds, by the validation score at the "
        f"levels {', '.join(ranking.levels)}; ± is the 95 % band of the mean over seeds."
    )
    if ranking.left_out:
        words += f" Without all of these levels and seeds: {', '.join(ranking.left_out)}."
    return words


def show_ranks(console: Console, ranking: Ranking) -> None:
    """Print a ranking and an empty line."""
    console.print(rank_table(ranking))
    console.print()
