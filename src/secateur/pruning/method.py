"""What a method is: a recipe, and nothing but words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from secateur.errors import MaskError, UsageError
from secateur.foundation.granularity import BRANCH, CHANNELS, HEAD, KERNEL, n_of_m
from secateur.registry import METHODS
from secateur.spec import MethodSpec, own_options

if TYPE_CHECKING:
    from secateur.pruning.allocation import Ranking
    from secateur.pruning.normalize import Normalize
    from secateur.pruning.weights import Scope

Granularity = str
"""A word that `secateur.foundation.granularity.parse_granularity` knows."""
Reduce = Literal["sum", "mean", "max", "first"]
Schedule = Literal["one-shot", "incremental", "gradual", "growing", "dynamic", "alternating"]
Start = Literal["trained", "untrained", "initial"]

GLOBAL = "global"
"""The allocation of a ranking of all layers together."""

FAMILIES: Mapping[str, str] = {
    "weights": "Single weights go:",
    "channels": "Whole filters and channels go:",
    "initialisation": "Weights go before any training (at initialisation):",
    "sparse-training": "Nets are trained sparse from the start, and what is kept changes:",
    "controls": "Controls, to compare the others with:",
}
"""What methods are grouped by, and what is said above each group."""

ALL = "all-"
"""Before the name of a group: all methods of it."""


@dataclass(frozen=True)
class Part:
    """One cut: a criterion ranks the units of a scope.

    Attributes:
        criterion: A name in `registry.CRITERIA`.
        granularity: What is cut as one: a `weight`; all but `n` of `m` weights in a row (`2:4`); a
            block of weights (`4x4`) or a `kernel`; a `filter` of one convolution; or a `channel`
            with everything that shares it; or a `head` of attention; or a residual `branch`. See
            `secateur.foundation.granularity`.
        scope: Which layers take part.
        ranking: `global`, all units of the scope together, `layer`, each layer by itself, or
            `output`, weights, blocks of one row and kernels among those of their output. Of `n:m`
            each group is by itself, whatever the ranking.
        allocation: How many units each layer keeps, whatever the ranking says of that: a name in
            `registry.ALLOCATIONS`; empty: the ranking says it. None with `n:m`.
        normalize: How the scores of a layer are made comparable in a global ranking; see
            `secateur.pruning.normalize`.
        options: What the criterion finds in `statistics.options`.
        reduce: How a channel that several weights compute (those of a residual sum) is scored by
            the scores that each of them gives it: their `sum`, `mean`, `max`, or that of the
            `first` alone, the layer that it is ranked under. So is a branch, by its weights.
    """

    criterion: str
    granularity: Granularity
    scope: Scope
    ranking: Ranking
    options: Mapping[str, Any] = field(default_factory=dict)
    reduce: Reduce = "sum"
    normalize: Normalize = "none"
    allocation: str = ""

    @property
    def by_layer(self) -> bool:
        """Whether an allocation says how many units each layer keeps."""
        return self.allocation not in ("", GLOBAL)

    @property
    def ranked(self) -> Ranking:
        """Among which units one is ranked: with an allocation by layers at most its layer's.

        Example:
            >>> Part("magnitude", "weight", "all", "global", allocation="erk").ranked
            'layer'
        """
        if self.allocation == GLOBAL:
            return "global"
        return "layer" if self.by_layer and self.ranking == "global" else self.ranking

    @property
    def cuts_channels(self) -> bool:
        """Whether filters or channels go, which are traced; else single weights, by any shape."""
        return self.granularity in CHANNELS

    @property
    def rescaling(self) -> str:
        """How scores are normalised; inside one layer there is nothing to make comparable."""
        return self.normalize if self.ranked == "global" else "none"


NET = "net"
"""What a preparation gives whose net is the one that is cut."""


@dataclass(frozen=True)
class Preparation:
    """A training that comes before a method's cuts, one for all its levels of a seed.

    It gives the cuts either something to go by, a statistic, or the net that they are made in.

    Attributes:
        name: Names its runs; part of what their digests are made of.
        title: In words, for progress and messages.
        run: `package.module:function`: from the dense net's copy, the data, the settings of
            training and `loop=`, `options=`, `seed=`, `device=`, `on_epoch=`, to tensors by name
            and the training curve. Where it gives a net, there is also `groups=`: of each part
            that cuts channels, those that may go (`secateur.pruning.groups.Groups`).
        gives: A statistic's name, as criteria need it: the tensors are of weights, and the dense
            net is cut by them. Or `net`: they are the state of a net of the same form, and this
            one is cut.
        epochs: The method's option that says how long it trains; they count in the budget.
        options: All of the method's options that its result depends on.
    """

    name: str
    title: str
    run: str
    gives: str
    epochs: str
    options: tuple[str, ...]

    @property
    def gives_net(self) -> bool:
        """Whether what was trained is what is cut."""
        return self.gives == NET


@dataclass(frozen=True)
class Method:
    """A recipe: criterion x granularity x scope x schedule.

    Attributes:
        name: Its registered name.
        summary: One line for the command line and the documentation.
        source: The paper.
        parts: The cuts, on disjoint scopes; a level gives each its sparsity. Empty: nothing is cut.
        schedule: `one-shot`: each level starts from the dense net; `incremental`: from the
            retrained net of the level before; `gradual`: from the dense net, while it is
            retrained; `growing`: likewise, what is cut at the end being chosen at the start and
            driven to zero by a penalty; `dynamic`: cut once, and then connections move while it is
            trained; `alternating`: it is cut and whole by turns.
        control: Whether the method is there to be compared with, not to win.
        prepare: A training that comes first, and what it gives to the cuts.
        start: `trained`: weights are kept; `untrained`: the net is cut as it was initialised and
            trained with the whole budget; `initial`: the cut net of another method is initialised
            anew and trained with that point's whole budget.
        options: The settings that it takes in a study: a class of its own with a default for
            each. What no preparation uses reaches its criteria.
        rewinds: Whether each cut net goes back to the weights from before the training, or to
            those of the epoch that the study's `retrain = "rewind-weights"` names.
    """

    name: str
    summary: str
    source: str
    parts: tuple[Part, ...]
    schedule: Schedule = "one-shot"
    control: bool = False
    prepare: Preparation | None = None
    start: Start = "trained"
    options: type[MethodSpec] = MethodSpec
    rewinds: bool = False

    @property
    def family(self) -> str:
        """One of `FAMILIES`: what the method scores, or when.

        Example:
            >>> find_method("magnitude").family, find_method("dense").family
            ('weights', 'controls')
        """
        if self.control:
            return "controls"
        if self.start == "untrained":
            return "initialisation" if self.schedule == "one-shot" else "sparse-training"
        return "channels" if is_structured(self.parts) else "weights"

    def cut_options(self) -> set[str]:
        """The names of its own options that a cut depends on."""
        return own_options(self.options) - set(self.prepare.options if self.prepare else ())


def parts_of(method: Method, settings: MethodSpec) -> tuple[Part, ...]:
    """A method's parts with what settings say instead, and with its own options.

    A granularity of channels is for the parts that cut channels, any other for those that cut
    weights; a part of the other kind keeps its own. With `n:m` a method's own allocation is none:
    every group keeps as many.

    Args:
        method: The method.
        settings: Those of `MethodSpec`, and of the method's own class.

    Raises:
        MaskError: No part can be cut at the granularity.

    Example:
        >>> found = parts_of(find_method("magnitude"), MethodSpec(granularity="2:4"))
        >>> [part.granularity for part in found]
        ['2:4']
    """
    own = {name: getattr(settings, name) for name in sorted(method.cut_options())}
    words = ("scope", "ranking", "allocation", "normalize", "reduce")
    asked = {name: value for name in words if (value := getattr(settings, name)) is not None}
    granularity = settings.granularity
    if granularity is not None and granularity not in CHANNELS:
        _check_has_weights(method, granularity)
        if n_of_m(granularity) is not None:
            asked.setdefault("allocation", "")
    if granularity in (HEAD, BRANCH):
        _check_has_one_part(method, granularity)
    changed = (replace(part, options=own, **asked) for part in method.parts)
    return tuple(
        part
        if granularity is None or part.cuts_channels != (granularity in CHANNELS)
        else _at(part, granularity, settings.scope)
        for part in changed
    )


def _at(part: Part, granularity: Granularity, asked: Scope | None) -> Part:
    scope = "conv" if granularity == KERNEL and part.scope == "all" else part.scope
    if granularity in (HEAD, BRANCH) and asked is None:  # whatever computes them
        scope = "all"
    return replace(part, granularity=granularity, scope=scope)


def _check_has_one_part(method: Method, granularity: Granularity) -> None:
    if len(method.parts) > 1:
        raise MaskError(
            "prune",
            "the granularity",
            given=f"{granularity!r} of {method.name}, whose cuts have scopes of their own",
            expected="a method of one cut",
            remedy="Choose such a method, l1-filter for one, or another granularity.",
        )


def _check_has_weights(method: Method, granularity: Granularity) -> None:
    if is_structured(method.parts) and all(part.cuts_channels for part in method.parts):
        raise MaskError(
            "prune",
            "the granularity",
            given=f"{granularity!r} of {method.name}, which cuts filters or channels",
            expected=f"one of {', '.join(CHANNELS)}",
            remedy="Choose one of these, or a method of single weights.",
        )


def is_structured(parts: Iterable[Part]) -> bool:
    """Whether any of some cuts takes filters or channels, and not single weights alone."""
    return any(part.cuts_channels for part in parts)


def find_method(name: str) -> Method:
    """A method by its registered name, or by `package.module:name` as the user wrote it.

    Raises:
        UnknownNameError: There is none of this name.
        UsageError: The path leads to something else.

    Example:
        >>> find_method("magnitude").schedule
        'incremental'
    """
    found: object = METHODS[METHODS.open(name)]
    if not isinstance(found, Method):
        raise UsageError(
            "looking up a method",
            repr(name),
            given=f"a {type(found).__name__}",
            expected="a secateur.pruning.method.Method",
            remedy="Name the object that describes the method; see the guide, Extending.",
        )
    return found


def spelt_out(words: Iterable[str]) -> list[str]:
    """Names of methods in their order, each once, with `all-FAMILY` for every method of a family.

    Example:
        >>> spelt_out(["dense", "all-initialisation", "snip"])
        ['dense', 'snip', 'grasp', 'synflow']
    """
    found: dict[str, None] = {}
    for word in words:
        family = word.removeprefix(ALL)
        whole = word.startswith(ALL) and family in FAMILIES
        found.update(dict.fromkeys(_family(family) if whole else [word]))
    return list(found)


def _family(family: str) -> list[str]:
    return [name for name, method in METHODS.items() if method.family == family]
