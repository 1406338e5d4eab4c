"""A pruner: cuts a net while somebody else's loop trains it, and holds the zeros in between."""

from __future__ import annotations

from typing import Any

from torch import nn

from secateur.errors import MaskError
from secateur.pruning.cutter import Cutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks
from secateur.verbs.prune import prune


class Pruner(Cutter):
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
        if isinstance(sparsity, int | float):
            sparsity = Gradual(float(sparsity), end=0, initial=float(sparsity))
        super().__init__(masks, sparsity)
        self.method = method
        self.options = options

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """As `secateur.prune` cuts, at the sparsity of the schedule."""
        sparsity = 0.0 if self.schedule is None else self.schedule.sparsity(planned)
        return prune(model, self.method, sparsity=sparsity, previous=self.masks, **self.options)

    def to_text(self) -> str:
        """The masks, for a checkpoint; empty before the first cut."""
        return "" if self.masks is None else self.masks.to_text()

    def from_text(self, text: object, source: str) -> None:
        """Take over the masks of a checkpoint: text as `to_text` gave it.

        Raises:
            MaskError: The text is damaged.
        """
        try:
            if not isinstance(text, str):
                raise TypeError(f"a {type(text).__name__}")
            self.masks = Masks.from_text(text) if text else None
        except Exception as error:  # text of a file: whatever its parsers meet
            raise damaged(source, error) from None


def damaged(source: str, error: Exception) -> MaskError:
    """What is said of masks in a checkpoint that cannot be read."""
    return MaskError(
        "going on from a checkpoint",
        source,
        given=f"damaged ({type(error).__name__})",
        expected="masks as this callback wrote them",
        remedy="Go on from another checkpoint, or pass masks=Masks.of(model).",
    )
