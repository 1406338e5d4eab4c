"""Sensitivity in Python: how much a network loses when each of its layers is cut alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from secateur.channels.rebuild import uncompiled
from secateur.errors import MaskError
from secateur.foundation.evaluation_mode import evaluation_mode
from secateur.foundation.numbers import finite_number
from secateur.point import Score, Share
from secateur.pruning import sensitivity as core
from secateur.pruning.layers import checked_layers
from secateur.pruning.method import Granularity, Method, find_method
from secateur.pruning.patterns import Pattern
from secateur.pruning.statistics import Batches, Loss
from secateur.pruning.weights import Scope, Tied
from secateur.report.sensitivity import SensitivityPicture, sensitivity_records
from secateur.verbs.cut_alone import cut_each_layer
from secateur.verbs.cut_inputs import known_statistics, wanted_parts

LEVELS = (0.25, 0.5, 0.75, 0.9)
Evaluate = Callable[[nn.Module], float | Share | Score]
"""From the network to its score on validation data."""


class Sensitivity(core.Sensitivity):
    """What cutting each layer alone does to a network, with its table and its picture."""

    @classmethod
    def of_values(cls, found: core.Sensitivity) -> Sensitivity:
        """The same values, to be looked at."""
        return cls(found.method, found.score, found.cuts, found.total)

    def table(self) -> list[dict[str, Any]]:
        """One flat record a cut: `pandas.DataFrame(sensitivity.table())`."""
        return sensitivity_records(self)

    def figure(self, path: str | Path | None = None) -> SensitivityPicture:
        """Draw it; a notebook shows the picture.

        Args:
            path: Where to write it, too: `.png`, `.svg` or `.pdf`.

        Raises:
            UsageError: matplotlib is missing, or the suffix is another.
            StoreError: The file cannot be written.
        """
        picture = SensitivityPicture(self)
        if path is not None:
            picture.save(path)
        return picture

    def _repr_mimebundle_(self, **more: object) -> dict[str, str]:
        return self.figure()._repr_mimebundle_(**more)


def sensitivity(
    model: nn.Module,
    evaluate: Evaluate,
    method: str | Method = "magnitude",
    *,
    levels: Sequence[float] = LEVELS,
    higher: bool = True,
    scope: Scope | None = None,
    granularity: Granularity | None = None,
    example_inputs: Any = None,
    data: Batches | None = None,
    loss: Loss | None = None,
    options: Mapping[str, Any] | None = None,
    exclude: Pattern | Sequence[Pattern] = (),
    only: Pattern | Sequence[Pattern] = (),
    prunable: Pattern | Sequence[Pattern] = (),
    tied: Tied = "keep",
    seed: int = 0,
) -> Sensitivity:
    """Cut each layer of a trained network alone, without retraining, and score the network.

    The network is as it was afterwards, bit by bit. Of a study, `secateur sensitivity` does the
    same from its run folder.

    Args:
        model: Any network.
        evaluate: `evaluate(model)`: its score on validation data, never on test data. It is called
            in evaluation mode and without gradients, once for the whole network and once for each
            layer and level.
        method: A name in `registry.METHODS` that prunes, `package.module:name`, or a `Method`.
        levels: Sparsities, each of one layer's weights.
        higher: Whether more of the score is better.
        scope: `all`, `conv` or `non-conv` instead of the method's own.
        granularity: Instead of the method's own, as for `prune`; with an `n:m` the only level is
            the sparsity that it says.
        example_inputs: A batch that the model accepts; needed for channels.
        data: Batches of training data, for a method whose criterion looks at them.
        loss: `loss(model, batch)`, likewise.
        options: The method's own options.
        exclude: Layers that are not tried; no channel that they compute or read is cut.
        only: The layers that are tried; all of the method's scope by default.
        prunable: Parameters that count as prunable weights, too.
        tied: Whether a matrix that an embedding shares is a weight, as for `prune`.
        seed: For the random controls.

    Returns:
        The score of every cut, as a table, as a picture, and as sparsities to prune with:
        `prune(model, sparsity=found.to_sparsities(within=0.01))`.

    Raises:
        UnknownNameError: No such method or word.
        MaskError: A level or a pattern is none, or a score is no finite number.
        ChannelError: The channels cannot be traced.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> x = torch.randn(8, 4)
        >>> y = net(x).detach()
        >>> found = sensitivity(net, lambda net: float((net(x) - y).square().mean()), higher=False)
        >>> found.layers, found.levels, found.score.value
        (('0.weight', '2.weight'), (0.25, 0.5, 0.75, 0.9), 0.0)
    """
    recipe = method if isinstance(method, Method) else find_method(method)
    parts = wanted_parts(recipe, scope, None, None, granularity, options)
    layers = checked_layers(exclude, only, prunable, None)
    tried = core.checked_layer_levels(levels)
    model = uncompiled(model)
    known = known_statistics(
        model,
        recipe,
        parts,
        None,
        data,
        loss,
        seed=seed,
        example_inputs=example_inputs,
        tied=tied,
        prunable=layers.prunable,
    )

    def score(net: nn.Module) -> Score:
        with evaluation_mode(net), torch.no_grad():
            return _score(evaluate(net), higher=higher)

    found = cut_each_layer(
        model,
        recipe.name,
        parts,
        tried,
        score,
        example_inputs=example_inputs,
        statistics=known,
        tied=tied,
        layers=layers,
    )
    return Sensitivity.of_values(found)


def _score(found: object, *, higher: bool) -> Score:
    if isinstance(found, Score):
        return found
    if isinstance(found, Share):
        made = Score("score", "val", found.value, higher, unit="share")
        return replace(made, part=found.part, total=found.total)
    number = finite_number(found)
    if number is not None:
        return Score("score", "val", number, higher)
    raise MaskError(
        "measuring sensitivity",
        "what `evaluate` returns",
        given=f"{found!r:.60}",
        expected="a finite number",
        remedy="Return float(...), or secateur's own Share of integers.",
    )
