"""A pruner: cuts a net while somebody else's loop trains it, and holds the zeros in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from secateur.errors import MaskError
from secateur.foundation.atomic_write import replaced_by
from secateur.pruning.freeze import Freeze
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks
from secateur.verbs.prune import prune

FILE = "secateur-masks.json"
"""What the masks are called beside a checkpoint."""


class Pruner:
    """What every callback does, whichever library calls it.

    Args:
        masks: Masks that are held as they are; or give a sparsity.
        sparsity: A share that is cut when training begins, or a `Gradual` schedule.
        method: As for `secateur.prune`.
        **options: Of `secateur.prune`: `example_inputs`, `exclude`, `ranking`, ...

    Raises:
        MaskError: Neither masks nor a sparsity, or both.
    """

    def __init__(
        self,
        masks: Masks | None = None,
        *,
        sparsity: float | Gradual | None = None,
        method: str = "magnitude",
        **options: Any,
    ) -> None:
        if (masks is None) == (sparsity is None):
            raise MaskError(
                "making a pruning callback",
                "what it does",
                given="neither masks nor a sparsity" if masks is None else "masks and a sparsity",
                expected="one of the two",
                remedy="Pass the masks that `prune` returned, or sparsity=.",
            )
        self.masks = masks
        self.schedule = sparsity
        if isinstance(sparsity, int | float):
            self.schedule = Gradual(float(sparsity), end=0, initial=float(sparsity))
        self.method = method
        self.options = options
        self._held: list[Freeze] = []

    def start(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """Training begins, or goes on, at a step: cut if it is time, and hold the zeros."""
        if self.masks is not None:
            self.masks.apply(model)
        self.step(model, optimizers, step)
        if not self._held and self.masks is not None:
            self._hold(model, optimizers)

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """So many steps of the optimizer are done: cut further where the schedule says so."""
        if not isinstance(self.schedule, Gradual) or not self.schedule.is_due(step):
            return
        if self.masks is not None and step > self.schedule.end:
            return
        self.masks = prune(
            model,
            self.method,
            sparsity=self.schedule.sparsity(step),
            previous=self.masks,
            **self.options,
        )
        self._hold(model, optimizers)

    def _hold(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        self.stop()
        if self.masks is not None:
            self._held = [self.masks.freeze(one, model) for one in optimizers]

    def stop(self) -> None:
        """Let the weights go; the zeros stay what they are."""
        for frozen in self._held:
            frozen.remove()
        self._held = []

    def to_text(self) -> str:
        """The masks, for a checkpoint; empty before the first cut."""
        return "" if self.masks is None else self.masks.to_text()

    def from_text(self, text: str, source: str) -> None:
        """Take over the masks of a checkpoint.

        Raises:
            MaskError: The text is damaged.
        """
        if not text:
            return
        try:
            self.masks = Masks.from_text(text)
        except Exception as error:  # text of a file: whatever its parsers meet
            raise MaskError(
                "going on from a checkpoint",
                source,
                given=f"damaged ({type(error).__name__})",
                expected="masks as this callback wrote them",
                remedy="Go on from another checkpoint, or pass masks=Masks.of(model).",
            ) from None

    def save(self, folder: Path) -> None:
        """Write the masks beside a checkpoint."""
        draft = folder / f".{FILE}.partial"
        with replaced_by(draft, folder / FILE):
            draft.write_text(self.to_text())

    def load(self, folder: Path) -> None:
        """Read the masks beside a checkpoint, if there are any.

        Raises:
            MaskError: They are damaged.
        """
        path = folder / FILE
        if path.is_file():
            self.from_text(path.read_text(), str(path))
