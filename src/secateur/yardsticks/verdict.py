"""Verdicts: ours against what is published, with the band of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from secateur.study.aggregate import Estimate, estimate
from secateur.yardsticks.published import Yardstick
from secateur.yardsticks.readings import READINGS, Found, Reading

Word = Literal["pass", "within band", "FAIL", "missing"]
PASSED: tuple[Word, ...] = ("pass", "within band")


@dataclass(frozen=True)
class Verdict:
    """One yardstick, and ours.

    Attributes:
        yardstick: What is published.
        reading: Ours, seed by seed.
        ours: Its mean and its band; None where nothing was measured.
    """

    yardstick: Yardstick
    reading: Reading
    ours: Estimate | None

    @property
    def word(self) -> Word:
        """`pass`: our mean is as good as the published figure. `within band`: only its band is."""
        if self.ours is None:
            return "missing"
        better = self.ours.mean - self.yardstick.value
        better = better if self.yardstick.higher else -better
        if better >= 0:
            return "pass"
        return "within band" if better + (self.ours.band or 0) >= 0 else "FAIL"

    @property
    def passed(self) -> bool:
        """Whether ours is as good, by its band at least."""
        return self.word in PASSED

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        ours = self.ours
        return {
            **asdict(self.yardstick),
            "level": [str(part) for part in self.yardstick.level],
            "seeds": [float(value) for value in self.reading.values],
            "ours": None if ours is None else ours.mean,
            "band": None if ours is None else ours.band,
            "read": self.reading.words,
            "verdict": self.word,
        }


def verdicts(yardsticks: Iterable[Yardstick], found: Mapping[str, Found]) -> list[Verdict]:
    """Ours beside each yardstick.

    Args:
        yardsticks: What is published.
        found: The points that were measured, by study and by recipe.
    """
    return [_verdict(one, found.get(one.study, {})) for one in yardsticks]


def _verdict(yardstick: Yardstick, found: Found) -> Verdict:
    if not all(found.values()) or not found:
        return Verdict(yardstick, Reading((), "not measured"), None)
    reading = READINGS[yardstick.reading](yardstick, found)
    ours = estimate(reading.values) if reading.values else None
    return Verdict(yardstick, reading, ours)
