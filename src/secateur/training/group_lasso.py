"""Group sparsity training: what group lasso does before it prunes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from secateur.data.data import Data
from secateur.foundation.run_example import moved
from secateur.pruning.group_norms import GroupNorms
from secateur.pruning.groups import Groups
from secateur.pruning.methods.group_lasso import METHOD
from secateur.spec import MethodSpec
from secateur.training.epoch import Epoch
from secateur.training.loop import CLASSIFICATION, Loop
from secateur.training_settings import TrainingSpec
from secateur.verbs.units import groups_of

_EXAMPLES = 2


def group_lasso(
    model: nn.Module,
    data: Data,
    spec: TrainingSpec | None = None,
    *,
    epochs: int,
    penalty: float,
    groups: Sequence[Groups] | None = None,
    seed: int = 0,
    device: str = "auto",
    on_epoch: Callable[[Epoch], None] | None = None,
    loop: Loop | None = None,
) -> tuple[Epoch, ...]:
    """Train `model` in place with a penalty on the norms of its channel groups.

    A group is a channel with every place that it has: the filter that computes it, its bias and
    norm, and the weights that read it, so that it gets small in all of them. The weakest group of
    a layer is shrunk 16 times as hard as the strongest (Fang et al. 2023, "DepGraph: towards any
    structural pruning", arXiv 2301.12900, section 3.3; see
    `secateur.pruning.group_norms.GroupNorms.penalty`). `secateur.prune(model, "group-lasso", ...)`
    then cuts the smallest.

    Args:
        model: Trained in place, and left as `fit` leaves it.
        data: Trained on its training split.
        spec: As for `fit`.
        epochs: How often the training split is gone through.
        penalty: The weight of the penalty, lambda in the paper.
        groups: The channels; None for all that convolutions compute.
        seed: As for `fit`.
        device: As for `fit`.
        on_epoch: Called after each epoch.
        loop: How it is trained; classification by `fit`, if None.

    Returns:
        The training curve.

    Raises:
        DataError: The data are not what the loop's task is fed with.
        ChannelError: The channels cannot be traced, or none may be cut.
        TrainingError: The loss or a weight is not finite.
    """
    loop = loop or CLASSIFICATION
    loop.task.check(data, "group sparsity training")
    if groups is None:
        example = moved(data.example(_EXAMPLES), "cpu")
        groups = [groups_of(model.cpu(), part, example) for part in METHOD.parts]
    norms = [GroupNorms(model, each) for each in groups]

    def term() -> Tensor:
        return penalty * torch.stack([each.penalty() for each in norms]).sum()

    return loop.fit(
        model,
        data,
        spec or TrainingSpec(),
        epochs=epochs,
        seed=seed,
        penalty=term,
        device=device,
        on_epoch=on_epoch,
    )


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
    groups: Sequence[Groups],
) -> tuple[Mapping[str, Tensor], tuple[Epoch, ...]]:
    """Group sparsity training in a study; see `secateur.pruning.method.Preparation`.

    Args:
        model: The dense net.
        data: As for `group_lasso`.
        training: As for `group_lasso`.
        loop: As for `group_lasso`.
        options: The method's, with `sparsity_epochs` and `penalty`.
        seed: As for `fit`.
        device: As for `fit`.
        on_epoch: As for `group_lasso`.
        groups: As for `group_lasso`.

    Returns:
        The trained net's state, and the training curve.
    """
    settings = options.model_dump()
    curve = group_lasso(
        model,
        data,
        training,
        epochs=settings["sparsity_epochs"],
        penalty=settings["penalty"],
        groups=groups,
        seed=seed,
        device=device,
        on_epoch=on_epoch,
        loop=loop,
    )
    return model.state_dict(), curve
