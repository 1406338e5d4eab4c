"""A pruner: cuts a net while somebody else's loop trains it, and holds the zeros in between."""

from __future__ import annotations

from typing import Any

from torch import nn

from secateur.errors import MaskError
from secateur.foundation.granularity import WEIGHT, NOfM, n_of_m
from secateur.pruning.cutter import Cutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks
from secateur.pruning.n_of_m import check_share
from secateur.verbs.prune import prune


class Pruner(Cutter):
    """What every callback does, whichever library calls it.

    Args:
        masks: Masks that are held as they are; or give a sparsity.
        sparsity: A share that is cut when training begins, or a `Gradual` schedule; with a
            granularity `n:m` not needed. On its way there a schedule cuts `k:m` of a larger `k`.
        method: As for `secateur.prune`.
        **options: Of `secateur.prune`: `example_inputs`, `exclude`, `ranking`, ...

    Raises:
        MaskError: Neither masks nor a sparsity, or both, or one that `n:m` contradicts.
    """

    def __init__(
        self,
        masks: Masks | None = None,
        *,
        sparsity: float | Gradual | None = None,
        method: str = "magnitude",
        **options: Any,
    ) -> None:
        self._pattern = n_of_m(str(options.get("granularity", "")))
        if masks is None and sparsity is None and self._pattern is not None:
            sparsity = self._pattern.sparsity
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
        if sparsity is not None:
            check_share(str(options.get("granularity", "")), sparsity.final)
        super().__init__(masks, sparsity)
        self._plan = sparsity
        self.method = method
        self.options = options

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """As `secateur.prune` cuts, at the sparsity of the schedule."""
        asked: dict[str, Any] = {
            "sparsity": 0.0 if self._plan is None else self._plan.sparsity(planned)
        }
        if self._pattern is not None:
            asked = self._pattern_at(self._pattern, asked["sparsity"])
        return prune(model, self.method, previous=self.masks, **{**self.options, **asked})

    def _pattern_at(self, pattern: NOfM, sparsity: float) -> dict[str, Any]:
        """What is asked for on the way to a pattern: a weaker one, or nothing yet."""
        gone = pattern.gone(sparsity)
        if not gone:
            return {"granularity": WEIGHT, "sparsity": 0.0}
        return {"granularity": str(NOfM(pattern.size - gone, pattern.size))}

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
