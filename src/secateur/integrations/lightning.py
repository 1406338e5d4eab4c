"""Pruning in Lightning's `Trainer`.

    trainer = Trainer(callbacks=[PruningCallback(sparsity=0.8)])

needs `pip install secateur[lightning]`. The library goes by two names, `lightning.pytorch` and
`pytorch_lightning`; the callback is one of both.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

from secateur.integrations.missing import missing
from secateur.integrations.pruner import Pruner
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks

NAMES = ("lightning.pytorch", "pytorch_lightning")


def _callbacks() -> tuple[type, ...]:
    """`Callback` under each name that is in use, or, where none is yet, that is installed.

    A Trainer asks for its own class, and each name has its own.
    """
    there = [name for name in NAMES if importlib.util.find_spec(name.partition(".")[0])]
    if not there:
        raise missing("lightning")
    used = [name for name in there if name in sys.modules] or there
    return tuple(importlib.import_module(name).Callback for name in used)


class PruningCallback(*_callbacks()):  # type: ignore[misc]
    """Cuts a module as Lightning trains it, and holds every pruned weight at exactly zero.

    The masks are part of Lightning's checkpoints, as text, and come back with `ckpt_path=`.

    Args:
        masks: Masks that are held as they are; or give a sparsity.
        sparsity: A share that is cut when training begins, or a
            `secateur.pruning.gradual.Gradual` schedule over the optimizer's steps.
        method: As for `secateur.prune`.
        **options: Of `secateur.prune`: `example_inputs`, `exclude`, `ranking`, ...

    Raises:
        MaskError: Neither masks nor a sparsity, or both.

    Example:
        >>> PruningCallback(sparsity=0.5).masks is None
        True
    """

    def __init__(
        self,
        masks: Masks | None = None,
        *,
        sparsity: float | Gradual | None = None,
        method: str = "magnitude",
        **options: Any,
    ) -> None:
        self._pruner = Pruner(masks, sparsity=sparsity, method=method, **options)

    @property
    def masks(self) -> Masks | None:
        """The masks as they are now; None before the first cut."""
        return self._pruner.masks

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Cut if it is time, and hold the zeros."""
        self._pruner.start(pl_module, trainer.optimizers, trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any, **held: Any) -> None:
        """Cut further where the schedule says so."""
        del args, held
        self._pruner.step(pl_module, trainer.optimizers, trainer.global_step)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Let the weights go."""
        del trainer, pl_module
        self._pruner.stop()

    def state_dict(self) -> dict[str, Any]:
        """The masks, for a checkpoint."""
        return {"masks": self._pruner.to_text()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The masks of a checkpoint.

        Raises:
            MaskError: They are damaged.
        """
        self._pruner.from_text(state_dict.get("masks"), "the checkpoint")
