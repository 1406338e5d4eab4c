"""The loop of a study: how its nets are trained and scored, by its task or by the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateur.data.data import Data, SplitName
from secateur.errors import TrainingError, UsageError
from secateur.foundation.call_check import check_takes
from secateur.foundation.evaluation_mode import evaluation_mode
from secateur.foundation.run_example import as_it_was, run_example
from secateur.point import Score
from secateur.pruning.cutter import Cutter
from secateur.pruning.masks import Masks
from secateur.tasks.classification import Classification
from secateur.tasks.task import Quality, Task
from secateur.training.device import resolve_device
from secateur.training.epoch import Epoch
from secateur.training.epoch_pass import check_loss
from secateur.training.fit import fit
from secateur.training.learning_rate import Rates, rates_of
from secateur.training.own_loop import Train, train_own
from secateur.training.score import score, scores_of
from secateur.training.teacher import Teacher
from secateur.training_settings import TrainingSpec

_FEW, _TRIED = 64, 2
Evaluate = Callable[[nn.Module, "OwnSplit"], Mapping[str, Any]]
"""`evaluate(model, split)`: every metric by its word."""


@dataclass(frozen=True)
class OwnSplit:
    """A split, as an `evaluate` of the user's own sees it.

    Attributes:
        name: `val` or `test`.
        data: The study's, on the model's device.
        batch_size: The study's.
    """

    name: SplitName
    data: Data
    batch_size: int

    def batches(self) -> Any:
        """Its batches, in order."""
        return self.data.batches(self.name, self.batch_size)


@dataclass(frozen=True)
class Loop:
    """How the nets of a study are trained and scored.

    Attributes:
        task: Gives the loss and the metrics.
        train: Trains instead of `fit`.
        evaluate: Measures instead of the task's meter.
        own_qualities: What `evaluate` measures; empty: what the task does.

    Raises:
        UsageError: Two metrics have one name.
    """

    task: Task
    train: Train | None = None
    evaluate: Evaluate | None = None
    own_qualities: tuple[Quality, ...] = ()

    def __post_init__(self) -> None:
        words = [one.metric for one in self.qualities]
        if len(set(words)) < len(words):
            raise UsageError(
                "beginning a study",
                "its metrics",
                given=", ".join(words),
                expected="each word once",
                remedy="Give the second one another name.",
            )

    @property
    def qualities(self) -> tuple[Quality, ...]:
        """What is measured of every net; the first one chooses."""
        return self.own_qualities or self.task.qualities

    def check(self, data: Data, model: nn.Module, temperature: float | None = None) -> None:
        """Try what can be tried before anything is trained: answer, loss, measuring.

        Args:
            data: On the CPU.
            model: A net that was built for it; left as it was.
            temperature: Of distillation; None where there is none.

        Raises:
            DataError: The data are not what the task is fed with.
            ModelError: The net's answer is not what the task needs, or its loss is no scalar.
            TrainingError: `evaluate` gives other metrics than were announced.
            UsageError: The task compares no answers of two nets, for distillation; or `train` or
                `evaluate` does not take what it is called with.
        """
        if self.train is not None:
            check_takes(self.train, ("model", "run"), "train")
        if self.evaluate is not None:
            check_takes(self.evaluate, ("model", "split"), "evaluate")
        if self.train is None or self.evaluate is None:
            self.task.check(data, "beginning a study")
            batch = next(iter(data.batches("val", _TRIED)))
            output = run_example(model, batch[0])
            self.task.check_output(output, batch, data, exactly=True)
            check_loss(self.task.loss(output, batch))
            if temperature is not None:
                check_loss(self.task.distillation(output, output, batch, temperature))
        if self.evaluate is not None:
            with as_it_was(model):
                self.score(model, data, "val", _FEW)

    def fit(
        self,
        model: nn.Module,
        data: Data,
        spec: TrainingSpec,
        *,
        epochs: int,
        seed: int,
        device: str,
        rates: Rates | None = None,
        masks: Masks | None = None,
        cutter: Cutter | None = None,
        teacher: Teacher | None = None,
        penalty: Callable[[], Tensor] | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> tuple[Epoch, ...]:
        """Train a model in place; see `secateur.training.fit` and `own_loop.train_own`.

        A loop of the user's own knows nothing of a cutter or a teacher; a study with both is
        refused before.
        """
        if self.train is None:
            return fit(
                model,
                data,
                spec,
                epochs=epochs,
                seed=seed,
                rates=rates,
                masks=masks,
                cutter=cutter,
                teacher=teacher,
                penalty=penalty,
                task=self.task,
                device=device,
                on_epoch=on_epoch,
                measure=None if self.evaluate is None else self._first,
            )
        known = rates or rates_of(spec)
        return train_own(
            self.train,
            model,
            data,
            spec.model_copy(update={"learning_rate": known.peak, "schedule": known.schedule}),
            self.task,
            self.qualities[0].metric,
            epochs=epochs,
            seed=seed,
            device=resolve_device(device),
            masks=masks,
            penalty=penalty,
            on_epoch=on_epoch,
        )

    def score(
        self, model: nn.Module, data: Data, split: SplitName, batch_size: int
    ) -> tuple[Score, ...]:
        """Measure a model on a split.

        Raises:
            TrainingError: A metric is missing, unknown or not finite.
        """
        if self.evaluate is None:
            return score(model, data, split, self.task, batch_size)
        with evaluation_mode(model), torch.no_grad():
            found = self.evaluate(model, OwnSplit(split, data, batch_size))
        if not isinstance(found, Mapping):
            raise TrainingError(
                "measuring a net",
                "what `evaluate` returns",
                given=f"a {type(found).__name__}",
                expected="a mapping from each metric to its number",
                remedy="Return a dict such as {'map': 0.5}.",
            )
        return scores_of(self.qualities, split, dict(found))

    def _first(self, model: nn.Module, data: Data) -> Score:
        return self.score(model, data, "val", _FEW)[0]


CLASSIFICATION = Loop(Classification())
"""What a study does that says nothing of its task."""
