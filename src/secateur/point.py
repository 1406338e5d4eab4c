"""Points: what one run of a study measured, with the counts behind every share.

A point is words and integers only. The store writes it, the frontier, the tables and the figures
read it, and none of them loads torch for it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, Literal

from secateur.foundation.level import Levels, parse_level
from secateur.foundation.level_text import level_text


@dataclass(frozen=True)
class Share:
    """A share with the integers that it is made of.

    Attributes:
        part: The numerator: zeros, or correct answers.
        total: The denominator.
    """

    part: int
    total: int

    @property
    def value(self) -> float:
        """`part / total`, 0 where there is nothing to divide."""
        return self.part / self.total if self.total else 0.0


@dataclass(frozen=True)
class Score:
    """A metric of the task, on one split.

    Attributes:
        metric: A word: `accuracy`, `rmse`.
        split: `val`, which chooses, or `test`, which is scored once and chooses nothing; `before`
            is the validation split before any retraining.
        value: The number.
        higher: Whether more of it is better.
        label: What it is, in words; the metric's word if empty.
        unit: Its unit's sign; `share` for a share of integers.
        part: Of a share: the numerator.
        total: Of a share: the denominator.
    """

    metric: str
    split: Literal["val", "test", "before"]
    value: float
    higher: bool
    label: str = ""
    unit: str = ""
    part: int | None = None
    total: int | None = None

    @property
    def name(self) -> str:
        """As an axis, and as a column of the records: `val_accuracy`."""
        return f"{self.split}_{self.metric}"

    @property
    def share(self) -> Share | None:
        """Its integers, of a share."""
        if self.part is None or self.total is None:
            return None
        return Share(self.part, self.total)

    @property
    def exact(self) -> Fraction:
        """The value that comparisons are made on."""
        return Fraction(self.part, self.total) if self.part and self.total else Fraction(self.value)


def accuracy(split: Literal["val", "test"], part: int, total: int) -> Score:
    """The accuracy of a classifier: so many right answers of so many.

    Example:
        >>> found = accuracy("val", 9, 10)
        >>> found.name, found.value, found.exact
        ('val_accuracy', 0.9, Fraction(9, 10))
    """
    value = Share(part, total).value
    return Score("accuracy", split, value, True, "accuracy", "share", part, total)


@dataclass(frozen=True)
class Epochs:
    """The training epochs that a point has consumed: its audited budget.

    Attributes:
        base: Of the dense net it came from (0 for a net trained from scratch).
        sparsity: Of sparsity training (slimming's, group lasso's), even where only the ranking
            was taken from it.
        retrain: Of retraining, along the whole chain of levels that led here.
        statistics: Passes over the training data in which statistics for criteria were gathered.
        teacher: Of forward passes of a teacher (distillation) over the training data: three count
            as one epoch, rounded up, for a backward pass costs what two forward passes do.
        given: Whether it started from weights that were given: a checkpoint's, or a builder's that
            were trained no further. The epochs spent on those are known to nobody here.
    """

    base: int
    sparsity: int
    retrain: int
    statistics: int = 0
    given: bool = False
    teacher: int = 0

    @property
    def parts(self) -> tuple[int, ...]:
        """What was consumed, kind by kind: base, sparsity, retrain, statistics, teacher."""
        return self.base, self.sparsity, self.retrain, self.statistics, self.teacher

    @property
    def cumulative(self) -> int:
        """All of them together."""
        return sum(self.parts)


@dataclass(frozen=True)
class Timing:
    """The spread of repeated runs, in seconds.

    Attributes:
        n: How many runs were timed.
        median: The median.
        q1: The first quartile.
        q3: The third quartile.
    """

    n: int
    median: float
    q1: float
    q3: float


@dataclass(frozen=True)
class Latency(Timing):
    """The time of one forward pass, and what it was measured with.

    Attributes:
        engine: What ran the net.
        threads: How many threads it used.
        batch: How many examples went through at once; the times are of the whole batch.
    """

    engine: str
    threads: int
    batch: int


@dataclass(frozen=True)
class Measured:
    """A metric of somebody's own, as it was measured at a point; see `secateur.study.metrics`.

    Attributes:
        name: Its name.
        label: What it is, in words.
        unit: Its unit's sign; may be empty.
        higher: Whether more of it is better.
        value: The number.
    """

    name: str
    label: str
    unit: str
    higher: bool
    value: float


@dataclass(frozen=True)
class Reached:
    """A target, and the cut that met it before any retraining.

    Attributes:
        target: What was asked for: `macs=0.5`.
        sparsity: The smallest sparsity found that meets it.
        limit: The limit in the cost's own unit, where a share was asked for, too.
        cost: What the cut net costs: multiply-adds, parameters, bytes, or milliseconds.
        q1: Of milliseconds the first quartile; else the cost itself.
        q3: Likewise the third.
        dense: What the dense net costs.
    """

    target: str
    sparsity: float
    limit: float
    cost: float
    q1: float
    q3: float
    dense: float


@dataclass(frozen=True)
class Layer:
    """One prunable weight of a point's net, and what is left of it.

    Attributes:
        name: Its state-dict name.
        kind: The class of the layer that owns it: `Conv2d`.
        shape: Its shape before any channel is removed.
        zeros: Its zeros, in that shape.
        channels: The layer's output channels (or neurons) before any is removed.
        kept: Those of them that the compact net has.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    zeros: int
    channels: int
    kept: int


@dataclass(frozen=True)
class Point:
    """One measured (method, level, seed).

    Attributes:
        method: The method's registered name.
        level: The requested sparsity of each part of the method's scope: one number for most,
            two for `combined` (convolutions, rest), none for the controls that prune nothing; in
            the place of a number a table, as pairs of a pattern of layers and its share. A share
            is of the weights that the study's choice of layers leaves to the method.
        step: The place of the level in its method's list, from 0. Replicates of one level over
            seeds share method and step.
        seed: The seed.
        digest: Names the run: the SHA-256 of what made it.
        scores: The metrics of the task on both splits, at least one of each. The first on the
            validation split chooses; what is on the test split is scored once, and chooses nothing.
        sparsity: Zeros among all prunable weights, whether the study's choice of layers leaves
            them to the method or not.
        conv_sparsity: Zeros among the convolutions' weights.
        model_sparsity: Zeros among all parameters, biases and norms included.
        parameters: All parameters, zeros included, of the net before any channel is removed.
        nonzero: Those that are not zero.
        masked_macs: Multiply-adds of one example before any channel is removed, zeros multiplied.
        compact_parameters: Parameters left once every removable channel is gone.
        macs: Multiply-adds of one example through that compact net, the one that runs and is
            timed; zeros multiplied too.
        nonzero_macs: Of `macs`, those with a weight that is not zero.
        epochs: The budget consumed.
        seconds: Wall time of this run alone.
        checkpoint: Path of the weights inside the run folder.
        floored: Layers in which the floor (never empty a layer) kept units that the ranking
            would have cut.
        environment: Versions and machine.
        curve: One entry an epoch of this run: `epoch`, `loss`, and where it was measured the
            score that chooses, as in `val_accuracy`.
        latency: Of the compact net, one entry a batch size and engine, all points of a study
            timed interleaved in one run; empty until the study has been timed.
        layers: Its prunable weights, in the order of the modules; none in a store written before
            they were recorded.
        artifact_bytes: The size of the file that `secateur export --to safetensors` writes for
            it; None in a store written before it was recorded.
        metrics: Metrics of the user's own, on the validation split.
        majority: How many validation images are of the most frequent class; None in a store
            written before it was recorded, and of a task without classes.
        baseline: What the best answer that ignores its input scores on the validation split, by
            the metric that chooses; None where no such answer is known.
        reached: Where the level is a target: the sparsity found for it, and what it cost then.
        before: The scores on the validation split after the last cut and its repair, before any
            retraining; of a dense base net its own, of a net trained from scratch those of its
            initial weights. None in a store written before they were recorded; empty where they
            could not be taken, or where the net was cut while it was trained.
        training_seconds: Seconds of training that led here, those of the runs before it included;
            None in a store written before they were recorded.
    """

    method: str
    level: Levels
    step: int
    seed: int
    digest: str
    scores: tuple[Score, ...]
    sparsity: Share
    conv_sparsity: Share
    model_sparsity: Share
    parameters: int
    nonzero: int
    masked_macs: int
    nonzero_macs: int
    compact_parameters: int
    macs: int
    epochs: Epochs
    seconds: float
    checkpoint: str
    floored: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    curve: tuple[dict[str, int | float], ...] = ()
    latency: tuple[Latency, ...] = ()
    layers: tuple[Layer, ...] = ()
    artifact_bytes: int | None = None
    majority: int | None = None
    metrics: tuple[Measured, ...] = ()
    baseline: float | None = None
    reached: Reached | None = None
    before: tuple[Score, ...] | None = None
    training_seconds: float | None = None

    @property
    def every_score(self) -> tuple[Score, ...]:
        """The scores, those before any retraining last."""
        return (*self.scores, *(self.before or ()))

    @property
    def val(self) -> Score:
        """The score that chooses."""
        return next(one for one in self.scores if one.split == "val")

    @property
    def test(self) -> Score:
        """The first score on the test split."""
        return next(one for one in self.scores if one.split == "test")

    @property
    def collapsed(self) -> bool | None:
        """Whether it does no better than a guess; None where it is not known what a guess does.

        A count of right answers is compared with always naming the most frequent class of the
        validation split, which gets `majority` of n right: a point has collapsed unless it gets
        more right than that by over two standard deviations of n such guesses. All in integers.
        Any other score is compared with `baseline`.
        """
        share = self.val.share
        if share is None or self.majority is None:
            if self.baseline is None:
                return None
            better = self.val.value - self.baseline
            return not (better > 0 if self.val.higher else better < 0)
        more, n = share.part - self.majority, share.total
        return more <= 0 or more * more * n <= 4 * self.majority * (n - self.majority)

    @property
    def level_name(self) -> str:
        """The level as text: `0.5`, `0.5/0.9` for two parts, `-` for none."""
        return level_text(self.level) or "-"

    def latency_at(self, batch: int) -> Latency | None:
        """The latency at a batch size, on the engine that is fastest; None if there is none."""
        measured = (each for each in self.latency if each.batch == batch)
        return min(measured, key=lambda each: each.median, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Point:
        """Rebuild a point from `to_dict`'s values (after a round trip through JSON, too)."""
        shares = ("sparsity", "conv_sparsity", "model_sparsity")
        values = with_scores(values)
        return cls(
            **{
                **values,
                "scores": tuple(Score(**each) for each in values["scores"]),
                "before": _scores_or_none(values.get("before")),
                **{name: Share(**values[name]) for name in shares},
                "level": parse_level(values["level"]) if values["level"] else (),
                "epochs": Epochs(**values["epochs"]),
                "floored": tuple(values["floored"]),
                "curve": tuple(values["curve"]),
                "latency": tuple(Latency(**each) for each in values["latency"]),
                "reached": Reached(**values["reached"]) if values.get("reached") else None,
                "metrics": tuple(Measured(**each) for each in values.get("metrics", ())),
                "layers": tuple(
                    Layer(**{**each, "shape": tuple(each["shape"])})
                    for each in values.get("layers", ())
                ),
            }
        )


def _scores_or_none(values: list[dict[str, Any]] | None) -> tuple[Score, ...] | None:
    return None if values is None else tuple(Score(**each) for each in values)


def with_scores(values: dict[str, Any]) -> dict[str, Any]:
    """A point's values as they are written now: until version 0.1 accuracy was two shares."""
    if "scores" in values or not {"val", "test"} <= values.keys():
        return values
    shares: dict[Literal["val", "test"], Any] = {"val": values["val"], "test": values["test"]}
    scores = [
        asdict(accuracy(split, share["part"], share["total"])) for split, share in shares.items()
    ]
    rest = {name: value for name, value in values.items() if name not in shares}
    return {**rest, "scores": scores}
