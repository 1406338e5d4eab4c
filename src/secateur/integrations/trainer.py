"""Pruning in Hugging Face's `Trainer`.

    trainer = Trainer(model, args, ..., callbacks=[PruningCallback(sparsity=0.8)])

needs `pip install secateur[transformers]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from secateur.errors import TrainingError
from secateur.integrations.pruner import Pruner
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks


class PruningCallback(TrainerCallback):
    """Cuts a model as `Trainer` trains it, and holds every pruned weight at exactly zero.

    Masks are written beside each checkpoint (`secateur-masks.json`), and found again by
    `trainer.train(resume_from_checkpoint=...)`.

    Args:
        masks: Masks that are held as they are; or give a sparsity.
        sparsity: A share that is cut when training begins, or a
            `secateur.pruning.gradual.Gradual` schedule over the optimizer's steps.
        method: As for `secateur.prune`.
        **options: Of `secateur.prune`: `example_inputs`, `exclude`, `ranking`, ...

    Raises:
        MaskError: Neither masks nor a sparsity, or both.

    Example:
        >>> PruningCallback(sparsity=Gradual(0.9, end=1000, every=100)).masks is None
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

    def on_train_begin(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Take over a checkpoint's masks, cut if it is time, and hold the zeros."""
        del control
        if state.global_step:
            self._pruner.load(_checkpoint(args, state))
        self._pruner.start(held["model"], _optimizers(held), state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Cut further where the schedule says so."""
        del args, control
        self._pruner.step(held["model"], _optimizers(held), state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Write the masks beside the checkpoint."""
        del control, held
        folder = Path(args.output_dir, f"checkpoint-{state.global_step}")
        if state.is_world_process_zero and folder.is_dir():
            self._pruner.save(folder)

    def on_train_end(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Let the weights go."""
        del args, state, control, held
        self._pruner.stop()


def _optimizers(held: dict[str, Any]) -> list[Any]:
    if held.get("optimizer") is None:
        raise TrainingError(
            "pruning in a Trainer",
            "the optimizer",
            given="not handed to callbacks",
            expected="an optimizer that steps in this process",
            remedy="Train without DeepSpeed's own optimizer, or freeze in a loop of your own.",
        )
    return [held["optimizer"]]


def _checkpoint(args: Any, state: Any) -> Path:
    """Where a training that goes on came from."""
    given = getattr(args, "resume_from_checkpoint", None)
    inside = Path(args.output_dir, f"checkpoint-{state.global_step}")
    return Path(given) if isinstance(given, str) and not inside.is_dir() else inside
