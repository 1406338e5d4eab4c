"""A task: what training minimises, and what is measured of a net on a split.

A task knows nothing of pruning. A sweep asks it for the loss of a batch and for a meter, and knows
metrics by name, unit and direction only. One of your own is a subclass of `Task`, named in a study
file as `task = "mine:MyTask"`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from secateur.data.data import Batch, Data, SplitName, check_data, count_of
from secateur.errors import DataError, ModelError, SecateurError, TrainingError, UsageError
from secateur.foundation.numbers import finite_number
from secateur.foundation.own_error import text_of
from secateur.foundation.run_example import call_arguments
from secateur.point import Score, Share
from secateur.registry import TASKS
from secateur.spec import WORD

# What the columns beside a score are called: `val_total`, `val_majority`.
_TAKEN = frozenset({"baseline", "correct", "majority", "total"})
_LONGEST = 80


@dataclass(frozen=True)
class Quality:
    """A metric of a task: what it is called, and which way is better.

    Attributes:
        metric: One word; with a split in front it is an axis: `val_rmse`.
        higher: Whether more of it is better.
        label: In words, for axes and heads; the word itself if empty.
        unit: Its sign; `share` for a share that keeps its integers.

    Raises:
        UsageError: It cannot name an axis and a column.
    """

    metric: str
    higher: bool
    label: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        texts = (self.label, self.unit)
        if (
            not re.fullmatch(WORD, self.metric)
            or self.metric in _TAKEN
            or not all(text.isprintable() and len(text) <= _LONGEST for text in texts)
        ):
            raise UsageError(
                "naming a metric",
                repr(self.metric),
                given=f"the label {self.label!r:.90} and the unit {self.unit!r:.90}",
                expected="a word of letters, digits and _ that is none of "
                f"{', '.join(sorted(_TAKEN))}; label and unit of at most {_LONGEST} letters",
                remedy="Say it in the label; the word names an axis and a column.",
            )

    def score(self, split: SplitName, found: float | Share) -> Score:
        """What was measured, with its row.

        Raises:
            TrainingError: It is no number, or not finite.
        """
        if isinstance(found, Share):
            return self._score(split, found.value, found.part, found.total)
        number = finite_number(found)
        if number is None:
            raise TrainingError(
                "measuring a net",
                f"the metric {self.metric!r} on the {split} split",
                given=f"{found!r:.60}",
                expected="a finite number",
                remedy="Look at what the net answers: its training may have diverged; lower the "
                "learning rate, or set clip_norm. Of a metric of your own: return float(...).",
            )
        return self._score(split, number, None, None)

    def _score(self, split: SplitName, value: float, part: int | None, total: int | None) -> Score:
        return Score(
            metric=self.metric,
            split="test" if split == "test" else "val",
            value=value,
            higher=self.higher,
            label=self.label,
            unit=self.unit,
            part=part,
            total=total,
        )


class Meter(Protocol):
    """Takes the answers to one split, a batch at a time, and says what they are worth."""

    def update(self, answer: Any, batch: Batch) -> None:
        """Take the net's output for a batch."""

    def values(self) -> Mapping[str, float | Share]:
        """Every metric of the task, by its word."""


class Task:
    """The base of every task.

    Attributes:
        qualities: What is measured; the first one chooses among levels.
        evaluation_batch: Examples at a time in scoring; None: as many as in training.
        libraries: Installed modules that its meter imports: a sweep imports them once for all runs.

    Example:
        >>> class Halves(Task):
        ...     qualities = (Quality("error", higher=False),)
        ...     def loss(self, output, batch):
        ...         return (output - batch[1] / 2).square().mean()
        >>> Halves().loss(torch.ones(1), (None, torch.ones(1))).item()
        0.25
    """

    qualities: tuple[Quality, ...] = ()
    evaluation_batch: int | None = None
    libraries: tuple[str, ...] = ()

    def loss(self, output: Any, batch: Batch) -> Tensor:
        """What training minimises: a scalar, the mean over the batch.

        Args:
            output: What the net gives for the batch's inputs.
            batch: Inputs and target.
        """
        raise NotImplementedError

    def distillation(self, output: Any, taught: Any, batch: Batch, temperature: float) -> Tensor:
        """How far a net's answer is from its teacher's: a scalar, the mean over the batch.

        Tasks of classes compare the classes, softened; see `soft_targets.soft_loss`.

        Args:
            output: What the net that learns gives for the batch's inputs.
            taught: What its teacher gives.
            batch: Inputs and target.
            temperature: What both are softened by.

        Raises:
            UsageError: The task compares no answers.
        """
        del output, taught, batch, temperature
        raise UsageError(
            "distilling a net",
            f"the task {type(self).__name__}",
            given="one that does not say how two nets' answers are compared",
            expected="a task whose nets score classes, or one with a method `distillation`",
            remedy="Set `distill = 0`, or give your own task this method.",
        )

    def terms(self, batch: Batch) -> int:
        """How many equal terms the loss of a batch is the mean of: its examples.

        Where several devices share a batch, their losses are weighed by it. A task whose loss
        leaves something out (tokens, pixels) counts what is left.

        Args:
            batch: Inputs and target.
        """
        return count_of(batch)

    def meter(self, data: Data) -> Meter:
        """A fresh meter for one split."""
        raise NotImplementedError

    def check(self, data: object, operation: str) -> Data:
        """Return data that this task can be fed with.

        Raises:
            DataError: They are something else; the message says what is taken.
        """
        return check_data(data, operation)

    def check_output(self, output: Any, batch: Batch, data: Data, *, exactly: bool = False) -> None:
        """Refuse a net that does not answer as this task needs it, before any training.

        Args:
            output: What the net gives for the batch's inputs.
            batch: Inputs and target.
            data: Where the batch is from.
            exactly: Whether an answer with more than is needed is refused, too.

        Raises:
            ModelError: The output has another form.
        """

    def baseline(self, data: Data) -> float | Share | None:
        """The first metric on the validation split of the best answer that ignores the input.

        A net that is no better has collapsed. None where no such answer is known.
        """
        del data
        return None


def find_task(name: str, options: Mapping[str, Any]) -> Task:
    """A task by its registered name, or by `package.module:name` as the user wrote it.

    Args:
        name: The name.
        options: Of the task's class.

    Raises:
        UnknownNameError: There is none of this name.
        UsageError: The path leads to something else, or the options do not fit.

    Example:
        >>> find_task("regression", {"minimise": "mae"}).qualities[0].metric
        'rmse'
    """
    entry: Any = TASKS[name]
    try:
        made = entry if isinstance(entry, Task) and not options else entry(**options)
    except SecateurError:
        raise
    except Exception as error:
        raise UsageError(
            "making the task",
            repr(name),
            given=f"options {sorted(options)}, with which it fails ({text_of(error)})",
            expected="options that its class takes",
            remedy="See the guide, Tasks.",
        ) from error
    if not isinstance(made, Task) or not made.qualities:
        raise UsageError(
            "making the task",
            repr(name),
            given=f"a {type(made).__name__}"
            + (" without qualities" if isinstance(made, Task) else ""),
            expected="a secateur.tasks.Task that says what it measures",
            remedy="Derive a class from secateur.tasks.Task and give it qualities.",
        )
    return made


def forward(model: nn.Module, inputs: Any) -> Any:
    """What a net gives for the inputs of a batch: positional, or by keyword of a mapping.

    Example:
        >>> forward(nn.Bilinear(1, 1, 2), (torch.ones(3, 1), torch.ones(3, 1))).shape
        torch.Size([3, 2])
    """
    args, kwargs = call_arguments(inputs)
    return model(*args, **kwargs)


def answer(output: Any) -> Tensor:
    """The tensor of scores in what a net gives.

    A tensor is itself; of a mapping or an object the `logits` (or `out`, or `prediction`); of a
    tuple or a list the first tensor.

    Raises:
        ModelError: There is none.

    Example:
        >>> answer({"logits": torch.ones(2)}), answer((torch.zeros(1), "more"))
        (tensor([1., 1.]), tensor([0.]))
    """
    if isinstance(output, Tensor):
        return output
    for name in ("logits", "out", "prediction"):
        found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        if isinstance(found, Tensor):
            return found
    if isinstance(output, Sequence):
        first = next((one for one in output if isinstance(one, Tensor)), None)
        if first is not None:
            return first
    raise ModelError(
        "reading a net's answer",
        "the model's output",
        given=f"a {type(output).__name__}",
        expected="a tensor, or something with `logits`, `out` or `prediction`",
        remedy="Return the scores, or write a task of your own, which reads what the net returns.",
    )


def own_loss(output: Any) -> Tensor | None:
    """The loss that a net has computed itself from the labels in its inputs, if it has."""
    found = output.get("loss") if isinstance(output, Mapping) else getattr(output, "loss", None)
    return found if isinstance(found, Tensor) else None


def target_of(batch: Batch) -> Tensor:
    """The target of a batch; where its inputs hold it, their `labels`.

    Raises:
        DataError: There is none, or it is no tensor.
    """
    inputs, target = batch
    if target is None and isinstance(inputs, Mapping):
        target = inputs.get("labels")
    if isinstance(target, Tensor):
        return target
    raise DataError(
        "reading a batch",
        "the target",
        given="none" if target is None else f"a {type(target).__name__}",
        expected="a tensor beside the inputs, or `labels` among them",
        remedy="Give pairs of inputs and target; a task of your own may read anything else.",
    )


def wrong_output(given: str, expected: str, remedy: str) -> ModelError:
    """The refusal of a net's output."""
    return ModelError(
        "reading a net's answer",
        "the model's output",
        given=given,
        expected=expected,
        remedy=remedy,
    )


def targets_of(data: Data, split: SplitName, batch_size: int = 256) -> Tensor:
    """All targets of a split, on the CPU, one after the other.

    Raises:
        DataError: They are no tensors.
    """
    return torch.cat([target_of(batch).cpu() for batch in data.batches(split, batch_size)])
