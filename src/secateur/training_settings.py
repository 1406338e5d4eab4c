"""The settings of training: the `[training]` of a study."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from secateur.registry import REPAIRS
from secateur.settings import LARGEST_COUNT, MOST_EPOCHS, Settings, look_up

Schedule = Literal["constant", "cosine", "linear", "one-cycle", "step"]


class TrainingSpec(Settings):
    """How nets are trained: the dense one, in sparsity training, and in retraining alike.

    `retrain_learning_rate` is a rate of its own, or `"3x"`: three times `learning_rate`.

    `budget` says what `retrain_epochs` are: of each level, or of all that a point trains after the
    base net, so that every point has consumed the same in all. Where several cuts lead to a point,
    `spread` shares them out: evenly, or one epoch to each cut and the rest to the last.
    `schedule`, `warmup` (a share of the steps) and `milestones` say how the learning rate goes,
    `retrain` how a cut net is trained; see `secateur.training.learning_rate`. `distill` is the
    weight of the dense net's answers in retraining, softened by `temperature`; see
    `secateur.training.teacher`. `retrain_dropout` says whether cut nets drop less, by what they
    have lost; see `secateur.training.dropout_ratio`. `devices` is how many processes train one net
    together, each on a device and on its share of every batch; results differ with it in their last
    bits, and where there is dropout in more, so it names the runs as all settings do.
    """

    base_epochs: int = Field(default=50, ge=0, le=MOST_EPOCHS)
    retrain_epochs: int = Field(default=25, ge=0, le=MOST_EPOCHS)
    budget: Literal["level", "total"] = "level"
    spread: Literal["even", "last"] = "even"
    batch_size: int = Field(default=32, ge=1, le=LARGEST_COUNT)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0)
    retrain_learning_rate: float | None = Field(default=None, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    schedule: Schedule = "constant"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75)
    retrain: Literal["fine-tune", "rewind-rate", "rewind-weights", "adaptive"] = "fine-tune"
    retrain_schedule: Schedule | None = None
    rewind_epoch: int | None = Field(default=None, ge=0, le=MOST_EPOCHS)
    distill: float = Field(default=0.0, ge=0, le=1)
    temperature: float = Field(default=4.0, gt=0)
    clip_norm: float | None = Field(default=None, gt=0)
    accumulate: int = Field(default=1, ge=1, le=LARGEST_COUNT)
    devices: int = Field(default=1, ge=1, le=LARGEST_COUNT)
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    sparse_retraining: bool = False
    retrain_dropout: Literal["as-built", "scaled"] = "as-built"
    repair: tuple[str, ...] = ()

    @field_validator("retrain_learning_rate", mode="before")
    @classmethod
    def _times(cls, value: object, info: ValidationInfo) -> object:
        """The number that `3x` stands for, so that one meaning has one digest."""
        factor = re.fullmatch(r"(\d+(?:\.\d+)?)x", value) if isinstance(value, str) else None
        if factor is None or "learning_rate" not in info.data:
            return value
        return float(Fraction(factor[1]) * Fraction(str(info.data["learning_rate"])))

    @field_validator("repair", mode="before")
    @classmethod
    def _one_kind(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("repair")
    @classmethod
    def _in_order(cls, kinds: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """The order in which they are done, so that one meaning has one digest."""
        known = look_up(info.context or {}, paths=True)
        for name in kinds:
            known(REPAIRS, name)
        unknown = tuple(dict.fromkeys(name for name in kinds if name not in REPAIRS))
        return tuple(name for name in REPAIRS if name in kinds) + unknown

    @property
    def kept_epoch(self) -> int | None:
        """The epoch of the dense net whose weights are gone back to; None if none is."""
        if self.retrain != "rewind-weights":
            return None
        if self.rewind_epoch is not None:
            return self.rewind_epoch
        return max(0, self.base_epochs - self.retrain_epochs)

    @model_validator(mode="after")
    def _shared(self) -> TrainingSpec:
        if self.devices > self.batch_size:
            raise ValueError(f"`devices` of at most the {self.batch_size} examples of a batch")
        if self.devices > 1 and self.sparse_retraining:
            raise ValueError("`devices` = 1 beside `sparse_retraining`, which runs on one CPU")
        return self

    @model_validator(mode="after")
    def _rewinds(self) -> TrainingSpec:
        if (self.kept_epoch or 0) > self.base_epochs:
            raise ValueError(f"`rewind_epoch` of at most the {self.base_epochs} base epochs")
        return self
