"""Run training: how the net of one run of a study is trained, before and after its cuts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from secateur.channels import compact_with_record
from secateur.data.data import Data
from secateur.errors import ChannelError
from secateur.pruning.cutter import Cutter
from secateur.pruning.masks import Masks
from secateur.runtime.layers.retraining import sparse_retraining
from secateur.study.budget import TEACHER_PASSES
from secateur.study.checkpoint import load_checkpoint
from secateur.study.job import Job
from secateur.training.dropout_ratio import connections, dropout_ratios, dropping
from secateur.training.epoch import Epoch
from secateur.training.fit import stream
from secateur.training.learning_rate import Rates
from secateur.training.loop import Loop
from secateur.training.teacher import Teacher


@dataclass
class RunTraining:
    """All that one run trains.

    Attributes:
        job: The run.
        data: The study's.
        loop: The study's.
        example: A batch that the net accepts, on the CPU.
        on_epoch: Told of each epoch, numbered through the run.
        curve: The epochs so far.
        seconds: The time that they took.
        early: The dense net's state at the epoch that cut nets go back to, if they do.
    """

    job: Job
    data: Data
    loop: Loop
    example: Any
    on_epoch: Callable[[Epoch], None] | None = None
    curve: tuple[Epoch, ...] = ()
    seconds: float = 0.0
    early: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def _dense(self) -> nn.Module | None:
        """The dense net, where the run's epochs pay for its answers."""
        if not self.job.run.spent.get("teacher"):
            return None
        model = self.job.setup.build_model(self.data, self.job.run.seed)
        model.load_state_dict(load_checkpoint(*self.job.parent("base"))[0])
        return model

    @property
    def _teacher(self) -> Teacher | None:
        """The dense net as a teacher, for as many epochs as are paid."""
        if self._dense is None:
            return None
        training = self.job.study.training
        paid = TEACHER_PASSES * self.job.run.spent["teacher"]
        left = max(0, paid - len(self.curve))
        return Teacher(self._dense, training.distill, training.temperature, left)

    def train(
        self,
        model: nn.Module,
        masks: Masks,
        epochs: int,
        depth: int,
        rates: Rates | None = None,
    ) -> None:
        """Train a net: the compact one where channels are gone, else the whole one on its masks.

        Args:
            model: On the CPU, where it is left.
            masks: What was cut of it.
            epochs: How many.
            depth: Which retraining it is, counted from the base net.
            rates: The learning rates of a retraining.
        """
        begun = time.monotonic()
        self._keep_early(model, 0)
        scaled = self.job.study.training.retrain_dropout == "scaled"
        dense = connections(model) if masks and scaled else {}
        try:
            small = compact_with_record(model, masks, self.example, fold=False)
        except ChannelError:
            small = None
        if small is None or not (small.kept or small.skipped):
            self._fit(model, epochs, depth, rates, masks, dense=dense)
        else:
            self._fit(small.model, epochs, depth, rates, small.masks(masks), dense=dense)
            whole = small.expand(small.model.cpu().state_dict(), like=model.state_dict())
            model.load_state_dict(whole)
        come_to_rest(model)
        self.seconds += time.monotonic() - begun

    def train_and_cut(
        self,
        model: nn.Module,
        cutter: Cutter,
        epochs: int,
        depth: int,
        rates: Rates | None = None,
        penalty: Callable[[], Tensor] | None = None,
    ) -> Masks:
        """Train a whole net that is cut meanwhile; as `train`.

        Args:
            model: As for `train`.
            cutter: Cuts it.
            epochs: As for `train`.
            depth: As for `train`.
            rates: As for `train`.
            penalty: Added to the loss of each batch.

        Returns:
            The masks of the last cut.
        """
        begun = time.monotonic()
        self._fit(model, epochs, depth, rates, cutter=cutter, penalty=penalty)
        come_to_rest(model)
        self.seconds += time.monotonic() - begun
        masks = cutter.masks or Masks({})
        held = {name: mask.cpu() for name, mask in masks.items()}
        return Masks(held, masks.floored).apply(model)

    def _fit(
        self,
        model: nn.Module,
        epochs: int,
        depth: int,
        rates: Rates | None,
        masks: Masks | None = None,
        cutter: Cutter | None = None,
        penalty: Callable[[], Tensor] | None = None,
        dense: Mapping[str, int] | None = None,
    ) -> None:
        run, training = self.job.run, self.job.study.training
        done = len(self.curve)

        def tell(entry: Epoch) -> None:
            self._keep_early(model, entry.epoch)
            if self.on_epoch:
                self.on_epoch(_later(entry, done))

        sparse = rates is not None and bool(masks) and training.sparse_retraining
        ratios = dropout_ratios(model, self.example, dense) if dense and rates else {}
        sparsely = sparse_retraining(model, masks or Masks({})) if sparse else nullcontext()
        with dropping(model, ratios), sparsely:
            trained = self.loop.fit(
                model,
                self.data,
                training,
                epochs=epochs,
                seed=stream(run.seed, "train", depth),
                rates=rates,
                masks=masks or None,
                cutter=cutter,
                penalty=penalty,
                teacher=self._teacher,
                device=self.job.device,
                on_epoch=tell,
            )
        self.curve += tuple(_later(entry, done) for entry in trained)

    def _keep_early(self, model: nn.Module, epoch: int) -> None:
        """Keep the dense net's weights of the epoch that cut nets go back to."""
        if self.job.run.is_base and epoch == self.job.study.training.kept_epoch:
            state = model.state_dict()
            self.early = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}


def come_to_rest(model: nn.Module) -> None:
    """As a checkpoint gives a net back, so that what follows does not depend on training."""
    model.cpu().eval()
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _later(entry: Epoch, done: int) -> Epoch:
    """An epoch's entry, with its number counted from the run's first epoch."""
    return replace(entry, epoch=entry.epoch + done)
