"""Growing: chosen weights are driven to zero by a penalty that grows, and then cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from secateur.pruning.cutter import Cutter
from secateur.pruning.gradual import Gradual
from secateur.pruning.masks import Masks
from secateur.pruning.ranks import chosen_once
from secateur.pruning.sharded import check_whole

GROWS = 0.9
"""The share of the steps before the cut in which the penalty grows; it then stays for the rest."""
CHOOSES = 0.1
"""The share of the steps before the cut in which it grows on all weights alike, where it does."""


@dataclass(frozen=True)
class Late:
    """A choice that is made once a penalty on all weights alike has told them apart.

    GReg-2 (Wang et al. 2021, section 3.3): under a penalty that grows on all of them, weights of
    little curvature shrink faster, so that their magnitudes come apart without any Hessian.

    Attributes:
        at: The penalty at which what goes is chosen: tau' in the paper, where it is 0.01.
        choose: Gives the masks of a network as it is then.
    """

    at: float
    choose: Callable[[nn.Module], Masks]


class Growing(Cutter):
    """Cuts masks that were chosen before, once an L2 penalty has emptied what they take.

    GReg-1 (Wang, Qin, Zhang and Fu 2021, "Neural pruning via growing regularization", arXiv
    2012.09243, algorithm 1). The loss of each batch gets `lambda / 2 * ||w||^2` over all weights
    that are to go, those of a channel with its bias and its norm's scale and shift. `lambda` rises
    from 0 by the same amount at each step (the paper's `K_u` of 1) up to its ceiling, stays there
    for the last tenth (the paper's `K_s`), and then the weights are cut.

    With `late` it is GReg-2: for the first tenth of the steps the penalty grows on every weight of
    the parameters that the cut covers, up to `late.at`; then what goes is chosen, the others are
    let go, and `lambda` rises from there.

    Args:
        chosen: What is kept in the end; with `late` only the parameters that the cut covers count.
        steps: Of the optimizer, until the cut.
        ceiling: The highest penalty, tau in the paper.
        previous: What is cut before the first step.
        late: How what goes is chosen, if not before the first step.

    Example:
        >>> cutter = Growing(Masks({"weight": torch.tensor([[True, False]])}), 10, ceiling=1.0)
        >>> [round(cutter.strength(step), 2) for step in (0, 3, 9, 10)]
        [0.0, 0.33, 1.0, 0.0]
    """

    def __init__(
        self,
        chosen: Masks,
        steps: int,
        ceiling: float,
        previous: Masks | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(previous, Gradual(0.0, begin=steps, end=steps))
        self._chosen = chosen
        self._steps = steps
        self._ceiling = ceiling
        self._late = late
        self._alike = late is not None and steps > 0
        self._done = 0
        self._going: list[tuple[nn.Parameter, Tensor]] = []

    def strength(self, step: int) -> float:
        """The penalty's lambda after so many steps; 0 from the cut on."""
        if step >= self._steps:
            return 0.0
        grown = max(1, int(GROWS * self._steps))
        if self._late is None:
            return self._ceiling * min(1.0, step / grown)
        first = self._chosen_at
        if step <= first:
            return self._late.at * step / first
        rest = min(1.0, (step - first) / max(1, grown - first))
        return self._late.at + (self._ceiling - self._late.at) * rest

    @property
    def _chosen_at(self) -> int:
        """The step after which a late choice is made."""
        return max(1, int(CHOOSES * self._steps))

    def penalty(self) -> Tensor:
        """What is added to the loss of a batch: `lambda / 2 * ||w||^2` of what is to go."""
        strength = self.strength(self._done)
        squares = [(one.square() * gone).sum() for one, gone in self._going]
        return 0.5 * strength * torch.stack(squares).sum() if squares else torch.zeros(())

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The masks that were chosen, applied."""
        del planned
        self._chosen.rewritten = {}  # weights from when they were chosen; those now have trained
        return self._chosen.apply(model)

    def resume(self, model: nn.Module, optimizers: Sequence[Any]) -> None:
        """Hold the zeros there are, and find what is to go."""
        check_whole(model, "growing a penalty")
        super().resume(model, optimizers)
        self._going = self._find_going(model)

    def _find_going(self, model: nn.Module) -> list[tuple[nn.Parameter, Tensor]]:
        """The parameters, and ones where the penalty is: on what goes, or on all alike."""
        return [
            (
                parameter,
                torch.ones_like(parameter) if self._alike else (~self._chosen[name]).to(parameter),
            )
            for name, parameter in self._chosen.parameters_of(model).items()
        ]

    def _choose(self, model: nn.Module) -> None:
        """Choose what goes, if that is still to be done."""
        if self._alike and self._late is not None:
            self._alike = False
            late = self._late
            self._chosen = chosen_once(lambda: late.choose(model))

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """So many steps of the optimizer are done: the penalty grows, or it is time to cut."""
        self._done = step
        if self._alike and step >= self._chosen_at:
            self._choose(model)
            self._going = self._find_going(model)
        if step >= self._steps:
            self._going = []
        super().step(model, optimizers, step)
