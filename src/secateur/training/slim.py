"""Sparsity training: what network slimming does before it prunes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from secateur.data.data import Data
from secateur.errors import ModelError
from secateur.foundation.run_example import each_tensor
from secateur.pruning.criterion import Statistics
from secateur.pruning.slimming_norms import insert_norms
from secateur.spec import MethodSpec
from secateur.training.epoch import Epoch
from secateur.training.loop import CLASSIFICATION, Loop
from secateur.training_settings import TrainingSpec

_CALIBRATION = 512


def slim(
    model: nn.Module,
    data: Data,
    spec: TrainingSpec | None = None,
    *,
    epochs: int,
    penalty: float,
    seed: int = 0,
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    loop: Loop | None = None,
) -> tuple[Statistics, tuple[Epoch, ...]]:
    """Train a copy of `model` with an L1 term on its batch-norm scales, and read the scales.

    A norm is put behind each convolution that has none. The model itself is left as it is: its
    filters are ranked by what the copy learned, and cut in the net without the norms
    (Liu et al. 2017, arXiv 1708.06519, equation 1).

    Args:
        model: The dense net.
        data: Trained and calibrated on its training split.
        spec: As for `fit`.
        epochs: Of sparsity training; they count in the budget of every level.
        penalty: The weight of the L1 term, lambda in the paper.
        seed: As for `fit`.
        device: As for `fit`.
        on_epoch: Called after each epoch.
        loop: How it is trained; classification by `fit`, if None.

    Returns:
        The scales by weight name, and the training curve.

    Raises:
        DataError: The data are not what the loop's task is fed with.
        ModelError: No convolution takes part in a pass.
    """
    loop = loop or CLASSIFICATION
    loop.task.check(data, "sparsity training")
    copied = copy.deepcopy(model).cpu()
    first = next(iter(data.batches("train", _CALIBRATION)))[0]
    inputs = each_tensor(first, lambda one: one.detach().cpu().contiguous())
    instrumented = insert_norms(copied, inputs)
    if not instrumented.scales:
        raise ModelError(
            "sparsity training",
            type(model).__name__,
            given="a network in which no convolution takes part",
            expected="at least one convolution, whose filters the scales rank",
            remedy="Prune it by another method, such as magnitude.",
        )

    def term() -> Tensor:
        return penalty * instrumented.penalty()

    curve = loop.fit(
        copied,
        data,
        spec or TrainingSpec(),
        epochs=epochs,
        seed=seed,
        penalty=term,
        device=device,
        on_epoch=on_epoch,
    )
    scales = {name: scale.cpu() for name, scale in instrumented.statistics().scales.items()}
    return Statistics(scales=scales), curve


def prepare(
    model: nn.Module,
    data: Data,
    training: TrainingSpec,
    *,
    loop: Loop,
    options: MethodSpec,
    seed: int,
    device: str,
    on_epoch: Callable[[Epoch], None] | None,
) -> tuple[Mapping[str, Tensor], tuple[Epoch, ...]]:
    """Sparsity training as a preparation in a study; see `secateur.pruning.method.Preparation`.

    Args:
        model: The dense net.
        data: As for `slim`.
        training: As for `slim`.
        loop: As for `slim`.
        options: Slimming's, with `sparsity_epochs` and `penalty`.
        seed: As for `fit`.
        device: As for `fit`.
        on_epoch: Called after each epoch.

    Returns:
        The scales by weight name, and the training curve.
    """
    settings = options.model_dump()
    statistics, curve = slim(
        model,
        data,
        training,
        epochs=settings["sparsity_epochs"],
        penalty=settings["penalty"],
        seed=seed,
        device=device,
        on_epoch=on_epoch,
        loop=loop,
    )
    return statistics.scales, curve
