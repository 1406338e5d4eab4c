"""Repair: what of a cut network is mended on calibration data, before any training.

A kind of repair is a row of `registry.REPAIRS`: a `Repair`, whose `run` gets a `Calibration` and
mends the network in place. Several are done in the order of the registry, whatever the order in
which they are asked for: weights first (`least-squares`), then the statistics of norms
(`batch-norm`), then the outputs of layers (`variance`, `bias`), which depend on both. Kinds from
outside come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import (
    MaskError,
    ModelError,
    SecateurError,
    TrainingError,
    UnknownNameError,
    UsageError,
)
from secateur.foundation.evaluation_mode import evaluation_mode
from secateur.foundation.own_error import words_of
from secateur.foundation.own_tensors import own_tensors
from secateur.foundation.run_example import described, same_chance
from secateur.pruning.masks import Masks
from secateur.pruning.mended import Mended, Repaired
from secateur.registry import REPAIRS

Forward = Callable[[nn.Module, Any], Any]
"""`forward(model, batch)`: runs the network on a batch."""


@dataclass(frozen=True)
class Repair:
    """One kind of repair.

    Attributes:
        summary: What it does, in one line.
        source: The paper.
        run: Mends the network of a calibration in place, in evaluation mode and without gradients.
            What it writes into pruned elements is cleared afterwards.
        needs_dense: Whether it compares with the network before the cut.
        passes: How often it goes through the batches.
    """

    summary: str
    source: str
    run: Callable[[Calibration], Mended]
    needs_dense: bool = False
    passes: int = 1


class Calibration:
    """What a kind of repair is given.

    Attributes:
        model: The cut network.
        masks: What is kept of it.
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Masks,
        batches: Iterable[Any],
        forward: Forward,
        dense: Mapping[str, Tensor] | None,
    ) -> None:
        self.model = model
        self.masks = masks
        self._batches = batches
        self._forward = forward
        self._dense = dense

    def batches(self) -> Iterator[Any]:
        """Go through the batches once.

        Raises:
            UsageError: There is none.
        """
        count = 0
        for batch in self._batches:
            yield batch
            count += 1
        if not count:
            raise UsageError(
                "repairing",
                "the batches",
                given="none",
                expected="at least one batch of training data",
                remedy="Pass a list or a loader of batches.",
            )

    def run(self, batch: Any) -> None:
        """Run the cut network on a batch.

        Raises:
            ModelError: It fails.
        """
        self._call(batch)

    def run_dense(self, batch: Any) -> None:
        """Run the network on a batch with the parameters and statistics from before the cut.

        It is the same module, so that hooks see both.

        Raises:
            ModelError: It fails.
        """
        with _holding(self.model, self._dense or {}):
            self._call(batch)

    def _call(self, batch: Any) -> None:
        try:
            self._forward(self.model, batch)
        except SecateurError:
            raise
        except Exception as error:
            raise ModelError(
                "repairing",
                type(self.model).__name__,
                given=f"a network that fails on a batch of {described(batch)} "
                f"({words_of(error, 300)})",
                expected="a network that takes the inputs of each batch",
                remedy="Give pairs of inputs and target, or say how it takes a batch by "
                "`forward=lambda net, batch: net(...)`.",
            ) from error


def ordered(how: Iterable[str]) -> tuple[str, ...]:
    """Kinds of repair in the order in which they are done: that of the registry.

    Raises:
        UnknownNameError: There is no such kind.

    Example:
        >>> ordered(["batch-norm"])
        ('batch-norm',)
    """
    names = list(how)
    for name in names:
        if not isinstance(name, str):
            raise UnknownNameError("repair", name, REPAIRS)
        REPAIRS.check(name)
    return tuple(name for name in REPAIRS if name in names)


def mend(
    model: nn.Module,
    masks: Masks,
    batches: Iterable[Any],
    how: Sequence[str],
    forward: Forward,
    dense: Mapping[str, Tensor] | None = None,
) -> Repaired:
    """Mend a cut network in place; see `secateur.repair`.

    Args:
        model: The network.
        masks: What is kept of it; every pruned element is +0 afterwards.
        batches: Gone through as often as the kinds say.
        how: Kinds, in any order.
        forward: Runs a network on a batch.
        dense: Parameters and buffers before the cut; where None, the masks know them.

    Returns:
        What was done.

    Raises:
        MaskError: The masks do not fit, or what was before the cut is needed and not known.
        TrainingError: A number is not finite. The network is as it was, as after any error.
    """
    kinds = {name: _kind(name) for name in ordered(how)}
    masks.parameters_of(model)
    needing = [name for name, kind in kinds.items() if kind.needs_dense]
    if needing and dense is None:
        dense = _remembered(masks, model, needing[0])
    calibration = Calibration(model, masks, batches, forward, dense)
    done = []
    finite = _finite(model)
    with _or_as_before(model), evaluation_mode(model), torch.no_grad(), same_chance():
        for name, kind in kinds.items():
            done.append(kind.run(calibration))
            masks.clear(model)
            _check_finite(name, finite, _finite(model))
    return Repaired(done)


def _kind(name: str) -> Repair:
    found: object = REPAIRS[name]
    if isinstance(found, Repair):
        return found
    raise UsageError(
        "repairing",
        repr(name),
        given=f"a {type(found).__name__}",
        expected="a secateur.pruning.repair.Repair",
        remedy="Name the object that describes the repair; see the guide, Extending.",
    )


def _remembered(masks: Masks, model: nn.Module, kind: str) -> dict[str, Tensor]:
    if masks.removed is not None and masks.removed.is_of(model):
        return masks.removed.dense(model)
    raise MaskError(
        f"repairing by {kind}",
        "the network before the cut",
        given="changed since the masks were applied to it"
        if masks.removed is not None
        else "unknown: these masks have removed nothing, or have been frozen, copied or read",
        expected="the masks that have just cut this network, or `dense=`",
        remedy="Repair right after prune and before anything else, with all kinds in one call; or "
        "pass dense=, a copy of the network (or its state dict) from before the cut.",
    )


@contextmanager
def _holding(model: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """While open, a network holds other values, and is the same object in all else."""
    own = {name: one for name, one in own_tensors(model) if name in tensors}
    before = {name: one.data for name, one in own.items()}
    try:
        for name, one in own.items():
            one.data = tensors[name]
        yield
    finally:
        for name, one in own.items():
            one.data = before[name]


@contextmanager
def _or_as_before(model: nn.Module) -> Iterator[None]:
    """Put every parameter and buffer back if something goes wrong."""
    before = [(one, one.detach().clone()) for _, one in own_tensors(model)]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for one, values in before:
                one.copy_(values)
        raise


def _finite(model: nn.Module) -> set[str]:
    """The parameters and buffers that are finite throughout; a mask of infinities is none."""
    return {name for name, one in own_tensors(model) if bool(torch.isfinite(one).all())}


def _check_finite(kind: str, before: set[str], after: set[str]) -> None:
    for name in sorted(before - after):
        raise TrainingError(
            f"repairing by {kind}",
            name,
            given="not finite afterwards",
            expected="finite numbers",
            remedy="Look at the batches and at the network's activations for NaN and infinity.",
        )
