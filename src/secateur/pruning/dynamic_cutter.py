"""A cutter that moves connections: dropped by their weights, grown by chance or by gradients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from secateur.pruning.criteria.random import random
from secateur.pruning.criterion import Statistics
from secateur.pruning.cutter import Cutter
from secateur.pruning.dynamic import Dynamic, rewired
from secateur.pruning.masks import Masks
from secateur.pruning.ranks import average
from secateur.pruning.request import checked_word
from secateur.pruning.sharded import check_whole

Growth = Literal["random", "gradient"]
"""What connections are grown by."""


class DynamicCutter(Cutter):
    """Trains a sparse net whose connections move; each layer keeps as many as it has.

    At each update of the schedule a layer's connections of the smallest absolute weight are
    dropped and as many are grown. With `random` they are drawn (SET, Mocanu et al. 2018, arXiv
    1707.04780); with `gradient` they are those at which the loss has the steepest slope (RigL, Evci
    et al. 2020, arXiv 1911.11134, algorithm 1). What is grown starts at zero, with nothing in
    the optimizer's memory; one that was dropped and is grown at the same update keeps both.

    The slopes are those of the whole step before the update, taken where the weights are zero,
    before the zeros' gradients are cleared; at every other step no dense gradient is kept. The
    optimizer has made that step, too, where the paper leaves it out. An update whose slopes are
    not finite, as after an overflow in half precision, waits for the next step. A layer that is not
    trained keeps its connections.

    Args:
        masks: The net's connections at the start.
        schedule: When how many move.
        growth: `random` or `gradient`.
        seed: For `random`.
        within: Masks outside which nothing grows.

    Raises:
        UnknownNameError: There is no such growth.

    Example:
        >>> net = nn.Linear(20, 10)
        >>> drawn = torch.rand(10, 20, generator=torch.Generator().manual_seed(0))
        >>> cutter = DynamicCutter(Masks({"weight": drawn > 0.8}), Dynamic(end=8, every=2))
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> before = cutter.masks
        >>> cutter.start(net, [optimizer], 0)
        >>> for step in range(1, 11):
        ...     net(torch.randn(4, 20)).square().sum().backward()
        ...     optimizer.step()
        ...     optimizer.zero_grad()
        ...     cutter.step(net, [optimizer], step)
        >>> cutter.masks == before, cutter.masks.zeros == before.zeros
        (False, True)
        >>> int((net.weight == 0).sum()) >= before.zeros
        True
    """

    def __init__(
        self,
        masks: Masks,
        schedule: Dynamic,
        growth: Growth = "gradient",
        seed: int = 0,
        within: Masks | None = None,
    ) -> None:
        checked_word("growth", growth, Growth)
        super().__init__(masks, schedule)
        self._plan = schedule
        self._growth = growth
        self._seed = seed
        self._within = within or Masks({})
        self._slopes: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def step(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """So many steps of the optimizer are done: move connections where the schedule says so."""
        if self._is_due(step):
            self._slopes = average(self._slopes)
        if self._is_due(step) and not self._has_slopes():
            self._slopes.clear()
        else:
            super().step(model, optimizers, step)
        self._forget()
        if self._is_due(step + 1) and self._growth == "gradient":
            self._listen(model)

    def start(self, model: nn.Module, optimizers: Sequence[Any], step: int) -> None:
        """Training begins: hold the zeros.

        Raises:
            MaskError: A parameter is sharded over several processes.
        """
        check_whole(model, "moving connections")
        super().start(model, optimizers, step)

    def cut(self, model: nn.Module, planned: int) -> Masks:
        """The connections after an update; what was dropped is zero."""
        masks = cast(Masks, self.masks)
        found = {
            name: self._moved(name, parameter, masks[name].to(parameter.device), planned)
            for name, parameter in masks.parameters_of(model).items()
        }
        moved = Masks({**masks, **found}, masks.floored)
        moved.clear(model)
        return moved

    def stop(self) -> None:
        """Let the weights go; the zeros stay what they are."""
        super().stop()
        self._forget()

    def _moved(self, name: str, parameter: Tensor, kept: Tensor, planned: int) -> Tensor:
        barred, scores = self._within.get(name), self._scores(name, parameter, planned)
        if scores is None:
            return kept
        return rewired(
            parameter,
            kept,
            scores,
            self._plan.moved(planned, int(torch.count_nonzero(kept))),
            None if barred is None else ~barred.to(parameter.device),
        )

    def _scores(self, name: str, parameter: Tensor, planned: int) -> Tensor | None:
        """What the connections of a layer are grown by; None where it is not trained."""
        if not parameter.requires_grad:
            return None
        if self._growth == "random":
            rows = parameter.detach().reshape(-1, 1)
            return random(f"{name} at step {planned}", rows, Statistics(seed=self._seed))
        slope = self._slopes.get(name)
        return None if slope is None else slope.abs()

    def _is_due(self, step: int) -> bool:
        return self._plan.last_cut(step) not in (None, self._last)

    def _has_slopes(self) -> bool:
        """Whether what an update grows by is there, and finite."""
        if self._growth == "random":
            return True
        return bool(self._slopes) and all(
            bool(torch.isfinite(slope).all()) for slope in self._slopes.values()
        )

    def _listen(self, model: nn.Module) -> None:
        """Keep the gradients of the next step, which are cleared where the weights are zero."""
        for name, parameter in cast(Masks, self.masks).parameters_of(model).items():
            if parameter.requires_grad:
                # A hook of the tensor runs before the gradient is accumulated and cleared.
                register: Any = parameter.register_hook
                self._handles.append(register(partial(self._keep, name)))

    def _keep(self, name: str, gradient: Tensor) -> None:
        dense = gradient.detach()
        dense = dense.clone() if dense.layout == torch.strided else dense.to_dense()
        known = self._slopes.get(name)
        self._slopes[name] = dense if known is None else known.add_(dense)

    def _forget(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._slopes.clear()
