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


class PruningCallback(Pruner, *_callbacks()):  # type: ignore[misc]
    """Cuts a module as Lightning trains it, and holds every pruned weight at exactly zero.

    The masks are part of Lightning's checkpoints, as text, and come back with `ckpt_path=`.

    It takes what a `secateur.integrations.pruner.Pruner` does: masks to hold, or a sparsity to cut.

    Example:
        >>> PruningCallback(sparsity=0.5).masks is None
        True
    """

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Cut if it is time, and hold the zeros."""
        self.start(pl_module, trainer.optimizers, trainer.global_step)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *args: Any, **held: Any) -> None:
        """Cut further where the schedule says so."""
        del args, held
        self.step(pl_module, trainer.optimizers, trainer.global_step)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Let the weights go."""
        del trainer, pl_module
        self.stop()

    def state_dict(self) -> dict[str, Any]:
        """The masks, for a checkpoint."""
        return {"masks": self.to_text()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The masks of a checkpoint.

        Raises:
            MaskError: They are damaged.
        """
        self.from_text(state_dict.get("masks"), "the checkpoint")
