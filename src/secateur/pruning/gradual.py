"""Gradual: from one sparsity to another in steps of training, fast at first and slow at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace

from secateur.errors import MaskError


@dataclass(frozen=True)
class Gradual:
    """The cubic schedule of Zhu and Gupta (2017, arXiv 1710.01878, equation 1).

    At step `t` of training, from `begin` to `end`, the sparsity is
    `final + (initial - final) * (1 - (t - begin) / (end - begin)) ** 3`.

    Attributes:
        final: The sparsity at the end, and from there on.
        end: The step at which it is reached.
        begin: The step of the first cut.
        every: Steps between two cuts; the one at `end` is made in any case.
        initial: The sparsity of the first cut.

    Raises:
        MaskError: The numbers describe no schedule.

    Example:
        >>> plan = Gradual(0.8, end=100, every=50)
        >>> [(plan.last_cut(step), round(plan.sparsity(step), 3)) for step in (0, 50, 100)]
        [(0, 0.0), (50, 0.7), (100, 0.8)]
        >>> plan.last_cut(99)
        50
    """

    final: float
    end: int
    begin: int = 0
    every: int = 1
    initial: float = 0.0

    def __post_init__(self) -> None:
        for name, value, right in (
            ("final", self.final, 0 <= self.final < 1),
            ("initial", self.initial, 0 <= self.initial <= self.final),
            ("begin", self.begin, self.begin >= 0),
            ("end", self.end, self.end >= self.begin),
            ("every", self.every, self.every >= 1),
        ):
            if not right:
                raise MaskError(
                    "planning a gradual schedule",
                    name,
                    given=f"{value}",
                    expected="0 <= initial <= final < 1, 0 <= begin <= end, every >= 1",
                    remedy="Mend this number; begin, end and every are steps of the optimizer.",
                )

    def sparsity(self, step: int) -> float:
        """The sparsity that is asked for at a step."""
        if step >= self.end:
            return self.final
        left = 1 - max(0, step - self.begin) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * left**3

    def towards(self, level: float, step: int) -> float:
        """The sparsity of a step on the way to a level instead of `final`."""
        return replace(self, final=level).sparsity(step)

    def last_cut(self, step: int) -> int | None:
        """The step of the last cut that is planned up to a step; None before the first one.

        A counter may pass a planned step by, as Lightning's does that counts every optimizer of a
        module; so what is asked for is the last cut, not whether there is one at this step.
        """
        if step < self.begin:
            return None
        if step >= self.end:
            return self.end
        return step - (step - self.begin) % self.every
