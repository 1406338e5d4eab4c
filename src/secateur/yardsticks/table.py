"""The yardsticks as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from secateur.spec import StudySpec
from secateur.yardsticks.verdict import Verdict

NOTE = (
    "Losses and gains are points of test error and accuracy, ours with the 95 % band of the mean "
    "over seeds.\npass: our mean is as good as the published figure; within band: only its band is."
)
_STYLES = {"pass": "green", "within band": "green", "FAIL": "bold red", "missing": "dim"}


def table(found: Sequence[Verdict]) -> Table:
    """One row a yardstick: published, ours, and what that makes."""
    made = Table(box=SIMPLE)
    for head in ("yardstick", "published", "source"):
        made.add_column(head)
    for head in ("value", "ours"):
        made.add_column(head, justify="right")
    for head in ("read from", "verdict"):
        made.add_column(head)
    for one in found:
        published = one.yardstick
        made.add_row(
            published.name,
            Text(published.says),
            Text(published.source),
            number(published.value, published.unit),
            ours(one),
            Text(one.reading.words),
            Text(one.word, style=_STYLES[one.word]),
        )
    return made


def number(value: float, unit: str) -> str:
    """A figure with its unit.

    Example:
        >>> number(-0.05, "points"), number(40, "x")
        ('-0.05', '40x')
    """
    return f"{value:.3g}x" if unit == "x" else f"{value:+.2f}"


def ours(one: Verdict) -> str:
    """Our mean and its band."""
    if one.ours is None:
        return "-"
    unit = one.yardstick.unit
    band = "" if one.ours.band is None else f" ±{one.ours.band:.2f}"
    return f"{number(one.ours.mean, unit)}{band}"


def protocol(spec: StudySpec) -> str:
    """What ours was measured with, in one line.

    Example:
        >>> from secateur.yardsticks.studies import specs
        >>> protocol(specs("lenet-5", "fashion-mini", "small")[""])
        'lenet-5 on fashion-mini (train 3000), 8 + 8 epochs in all, 3 seeds'
    """
    train = spec.data.options.get("train")
    data = spec.data.name + (f" (train {train})" if train else "")
    training = spec.training
    each = "in all" if training.budget == "total" else "a level"
    epochs = f"{training.base_epochs} + {training.retrain_epochs} epochs {each}"
    return f"{spec.model.name} on {data}, {epochs}, {len(spec.seeds)} seeds"
