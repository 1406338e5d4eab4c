"""Pruning in a loop of accelerate.

    model, optimizer = accelerator.prepare(model, optimizer)
    pruning = Pruning(accelerator, model, optimizer, sparsity=0.8)
    ...
    optimizer.step()
    pruning.step()

needs `pip install secateur[accelerate]`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from secateur.errors import MaskError
from secateur.foundation.atomic_write import replaced_by
from secateur.integrations.pruner import Pruner, damaged
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks

FILE = "secateur-masks.json"
"""What the masks are called in a folder of `save_state`."""


class Pruning:
    """Cuts a prepared model, now or by a schedule, and holds every pruned weight at exactly zero.

    From then on `accelerator.save_state(folder)` writes the masks beside the rest, as text, and
    `accelerator.load_state(folder)` brings them back.

    Args:
        accelerator: An `accelerate.Accelerator`.
        model: The model that its `prepare` returned.
        optimizer: The optimizer that its `prepare` returned, or a list of them.
        masks: Masks that are held as they are; or give a sparsity.
        sparsity: A share that is cut now, or a `secateur.pruning.gradual.Gradual` schedule over
            the optimizer's steps.
        method: As for `secateur.prune`.
        **options: Of `secateur.prune`: `example_inputs`, `exclude`, `ranking`, ...

    Raises:
        MaskError: Neither masks nor a sparsity, or both.

    Example:
        >>> import torch, accelerate
        >>> accelerator = accelerate.Accelerator(cpu=True)
        >>> net = torch.nn.Linear(4, 2)
        >>> net, optimizer = accelerator.prepare(net, torch.optim.AdamW(net.parameters()))
        >>> Pruning(accelerator, net, optimizer, sparsity=0.5).masks
        Masks(1 parameters, 4 of 8 elements pruned)
    """

    def __init__(
        self,
        accelerator: Any,
        model: Any,
        optimizer: Any,
        masks: Masks | None = None,
        *,
        sparsity: float | Gradual | None = None,
        method: str = "magnitude",
        **options: Any,
    ) -> None:
        self._pruner = Pruner(masks, sparsity=sparsity, method=method, **options)
        self._accelerator = accelerator
        self._model = accelerator.unwrap_model(model)
        self._optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
        self._steps = 0
        self._pruner.start(self._model, self._optimizers, 0)
        self._hooks = [
            accelerator.register_save_state_pre_hook(self._save),
            accelerator.register_load_state_pre_hook(self._load),
        ]

    @property
    def masks(self) -> Masks | None:
        """The masks as they are now; None before the first cut."""
        return self._pruner.masks

    def step(self) -> None:
        """Call it after `optimizer.step()`: cut further where the schedule says so.

        Batches whose gradients are only gathered are no steps.
        """
        if self._accelerator.sync_gradients:
            self._steps += 1
            self._pruner.step(self._model, self._optimizers, self._steps)

    def stop(self) -> None:
        """Let the weights go, and `save_state` be what it was."""
        self._pruner.stop()
        for hook in self._hooks:
            hook.remove()

    def _save(self, models: Any, weights: Any, folder: str | Path) -> None:
        del models, weights
        if self._accelerator.is_main_process:
            path = Path(folder, FILE)
            draft = path.with_name(f".{FILE}.partial")
            with replaced_by(draft, path):
                draft.write_text(
                    json.dumps({"steps": self._steps, "masks": self._pruner.to_text()})
                )

    def _load(self, models: Any, folder: str | Path) -> None:
        """Before the weights are loaded; they have the zeros of these masks."""
        del models
        path = Path(folder, FILE)
        if not path.is_file():
            raise MaskError(
                "going on from a saved state",
                str(path),
                given="missing",
                expected="the masks of the state",
                remedy="Load a state without masks before Pruning begins.",
            )
        try:
            held = json.loads(path.read_text())
            steps, text = int(held["steps"]), held["masks"]
            if steps < 0:
                raise ValueError(f"{steps} steps")
        except Exception as error:  # a file: whatever its parsers meet
            raise damaged(str(path), error) from None
        self._pruner.from_text(text, str(path))
        self._steps = steps
        self._pruner.resume(self._model, self._optimizers)
