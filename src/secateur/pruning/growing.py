"""Growing: chosen weights are driven to zero by a penalty that grows, and then cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from secateur.pruning.cutter import Cutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks

GROWS = 0.9
"""The share of the steps before the cut in which the penalty grows; it then stays for the rest."""


class Growing(Cutter):
    """Cuts masks that were chosen before, once an L2 penalty has emptied what they take.

    GReg-1 (Wang, Qin, Zhang and Fu 2021, "Neural pruning via growing regularization", arXiv
    2012.09243, algorithm 1). The loss of each batch gets `lambda / 2 * ||w||^2` over all weights
    that are to go, those of a channel with its bias and its norm's scale and shift. `lambda` rises
    from 0 by the same amount at each step (the paper's `K_u` of 1) up to its ceiling, stays there
    for the last tenth (the paper's `K_s`), and then the weights are cut.

    Args:
        chosen: What is kept in the end.
        steps: Of the optimizer, until the cut.
        ceiling: The highest penalty, tau in the paper.
        previous: What is cut before the first step.

    Example:
        >>> cutter = Growing(Masks({"weight": torch.tensor([[True, False]])}), 10, ceiling=1.0)
        >>> [round(cutter.strength(step), 2) for step in (0, 3, 9, 10)]
        [0.0, 0.33, 1.0, 0.0]
    """

    def __init__(
        self, chosen: Masks, steps: int, ceiling: float, previous: Masks | None = None
    ) -> None:
        super().__init__(previous, Gradual(0.0, begin=steps, end=steps))
        self._chosen = chosen
        self._steps = steps
        self._ceiling = ceiling
        self._done = 0
        self._going: list[tuple[nn.Parameter, Tensor]] = []

    def strength(self, step: int) -> float:
        """The penalty's lambda after so many steps; 0 from the cut on."""
        if step >= self._steps:
            return 0.0
        return self._ceiling * min(1.0, step / max(1, int(GROWS * self._steps)))

    def penalty(self) -> Tensor:
        """What is added to the loss of a batch: `lambda / 2 * ||w||^2` of what is to go."""
        strength = self.strength(self._done)
        squares = [(one.square() * gone).sum() for one, gone in self._going]
        return 0.5 * strength * torch.stack(squares).sum() if squares else torch.zeros(())

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The masks that were chosen, applied."""
        del planned
        self._going = []
        self._chosen.rewritten = {}  # weights from when they were chosen; those now have trained
        return self._chosen.apply(model)

    def resume(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        """Hold the zeros there are, and find what is to go."""
        super().resume(model, optimizers)
        self._going = [
            (parameter, (~self._chosen[name]).to(parameter))
            for name, parameter in self._chosen.parameters_of(model).items()
        ]

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """So many steps of the optimizer are done: the penalty grows, or it is time to cut."""
        self._done = step
        super().step(model, optimizers, step)
