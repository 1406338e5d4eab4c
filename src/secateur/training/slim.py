"""Sparsity training: what network slimming does before it prunes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from secateur.data.images import ImageData, check_images
from secateur.errors import ModelError
from secateur.pruning.criterion import Statistics
from secateur.pruning.slimming_norms import insert_norms
from secateur.spec import MethodSpec, TrainingSpec
from secateur.training.fit import Epoch, fit

_CALIBRATION = 512


def slim(
    model: nn.Module,
    data: ImageData,
    spec: TrainingSpec | None = None,
    *,
    epochs: int,
    penalty: float,
    seed: int = 0,
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
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

    Returns:
        The scales by weight name, and the training curve.

    Raises:
        DataError: The data are not images with one class each, which is what `fit` trains on.
        ModelError: No convolution takes part in a pass.
    """
    check_images(data, "sparsity training")
    copied = copy.deepcopy(model).cpu()
    images = data.normalise(data.train.images[:_CALIBRATION]).cpu()
    instrumented = insert_norms(copied, images)
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

    curve = fit(
        copied, data, spec, epochs=epochs, seed=seed, penalty=term, device=device, on_epoch=on_epoch
    )
    scales = {name: scale.cpu() for name, scale in instrumented.statistics().scales.items()}
    return Statistics(scales=scales), curve


def prepare(
    model: nn.Module,
    data: ImageData,
    training: TrainingSpec,
    *,
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
    )
    return statistics.scales, curve
