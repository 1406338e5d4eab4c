"""Pruning in Hugging Face's `Trainer`.

    trainer = Trainer(model, args, ..., callbacks=[PruningCallback(sparsity=0.8)])

needs `pip install secateur[transformers]`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from secateur.errors import TrainingError
from secateur.integrations.missing import missing
from secateur.integrations.pruner import Pruner

try:
    from transformers import TrainerCallback, TrainerState
except ImportError as _missing:
    raise missing("transformers") from _missing

KEY = "secateur"
"""What the masks are called in a checkpoint's `trainer_state.json`."""


class PruningCallback(Pruner, TrainerCallback):
    """Cuts a model as `Trainer` trains it, and holds every pruned weight at exactly zero.

    The masks are part of each checkpoint (as text in its `trainer_state.json`, one bit a weight
    before compression), and come back with `trainer.train(resume_from_checkpoint=...)`, wherever
    the checkpoint lies. With `load_best_model_at_end`, the masks are the best model's in the end.

    It takes what a `secateur.integrations.pruner.Pruner` does: masks to hold, or a sparsity to cut.

    Example:
        >>> from secateur.pruning.gradual import Gradual
        >>> PruningCallback(sparsity=Gradual(0.9, end=1000, every=100)).masks is None
        True
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Take over a checkpoint's masks, cut if it is time, and hold the zeros."""
        del args, control
        self._take_over(state, "the checkpoint")
        self.start(held["model"], _optimizers(held), state.global_step)
        self._note(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Cut further where the schedule says so."""
        del args, control
        before = self.masks
        self.step(held["model"], _optimizers(held), state.global_step)
        if self.masks is not before:
            self._note(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **held: Any) -> None:
        """Let the weights go; of the best model that was loaded, take the masks."""
        del control
        self.stop()
        if args.load_best_model_at_end and state.best_model_checkpoint is not None:
            path = Path(state.best_model_checkpoint, "trainer_state.json")
            if path.is_file():
                self._take_over(TrainerState.load_from_json(str(path)), str(path))
                if self.masks is not None:
                    self.masks.apply(held["model"])

    def _take_over(self, state: Any, source: str) -> None:
        if KEY in state.stateful_callbacks:
            self.from_text(state.stateful_callbacks[KEY], source)

    def _note(self, state: Any) -> None:
        """Leave the masks in the state, which Trainer writes with every checkpoint."""
        state.stateful_callbacks[KEY] = self.to_text()


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
