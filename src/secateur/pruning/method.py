"""What a method is: a recipe, and nothing but words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from secateur.pruning.allocation import Ranking
    from secateur.pruning.weights import Scope

Granularity = Literal["weight", "filter", "channel"]
Schedule = Literal["one-shot", "incremental"]
Start = Literal["trained", "initial"]


@dataclass(frozen=True)
class Part:
    """One cut: a criterion ranks the units of a scope.

    Attributes:
        criterion: A name in `registry.CRITERIA`.
        granularity: What is cut as one: a `weight`, a `filter` of one convolution, or a `channel`
            with everything that shares it.
        scope: Which layers take part.
        ranking: `global`, all units of the scope together, or `layer`, each layer by itself.
    """

    criterion: str
    granularity: Granularity
    scope: Scope
    ranking: Ranking


@dataclass(frozen=True)
class Method:
    """A recipe: criterion x granularity x scope x schedule.

    Attributes:
        name: Its registered name.
        summary: One line for the command line and the documentation.
        source: The paper.
        parts: The cuts, on disjoint scopes; a level gives each its sparsity. Empty: nothing is cut.
        schedule: `one-shot`: each level starts from the dense net; `incremental`: from the
            retrained net of the level before.
        control: Whether the method is there to be compared with, not to win.
        sparsity_training: Whether a net trained with an L1 term on its batch-norm scales comes
            first, to gather the scales.
        start: `trained`: weights are kept; `initial`: the cut net of another method is initialised
            anew and trained with that point's whole budget.
    """

    name: str
    summary: str
    source: str
    parts: tuple[Part, ...]
    schedule: Schedule = "one-shot"
    control: bool = False
    sparsity_training: bool = False
    start: Start = "trained"
