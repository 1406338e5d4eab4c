"""Prune: from a model and the name of a method to masks, in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn

from secateur.channels.rebuild import uncompiled
from secateur.foundation.target import Target
from secateur.pruning.allocation import Ranking
from secateur.pruning.criterion import SCORES, Statistics
from secateur.pruning.layers import Sparsity, checked_layers, checked_level
from secateur.pruning.masks import Masks, checked_masks
from secateur.pruning.method import Granularity, Method, Part, find_method, is_structured
from secateur.pruning.n_of_m import check_level, check_no_target, implied_level
from secateur.pruning.normalize import Normalize
from secateur.pruning.patterns import Pattern
from secateur.pruning.request import checked_multiple
from secateur.pruning.rounds import cut_in_rounds, rounds_of
from secateur.pruning.select import check_units, cut
from secateur.pruning.sharded import check_whole
from secateur.pruning.statistics import Batches, Loss
from secateur.pruning.user_scores import checked_scores
from secateur.pruning.weights import Scope, Tied, sorted_weights
from secateur.verbs.cut_inputs import check_masks, known_statistics, wanted_parts
from secateur.verbs.left_out import warn_of_what_is_left_out
from secateur.verbs.target import checked_target, reach
from secateur.verbs.units import select_channels


def prune(
    model: nn.Module,
    method: str | Method = "magnitude",
    *,
    sparsity: float
    | Mapping[Pattern, float]
    | Sequence[float | Mapping[Pattern, float]]
    | None = None,
    target: str | Mapping[str, float] | Target | None = None,
    scope: Scope | None = None,
    ranking: Ranking | None = None,
    allocation: str | None = None,
    normalize: Normalize | None = None,
    granularity: Granularity | None = None,
    example_inputs: Any = None,
    scores: Mapping[str, Any] | None = None,
    statistics: Statistics | None = None,
    data: Batches | None = None,
    loss: Loss | None = None,
    options: Mapping[str, Any] | None = None,
    previous: Masks | None = None,
    seed: int = 0,
    round_to: int = 1,
    tied: Tied = "keep",
    exclude: Pattern | Sequence[Pattern] = (),
    only: Pattern | Sequence[Pattern] = (),
    prunable: Pattern | Sequence[Pattern] = (),
    max_sparsity: float | Mapping[Pattern, float] | None = None,
    protected: float = 0.1,
) -> Masks:
    """Score the model's weights or channels, zero the lowest, and return what was kept.

    Args:
        model: Any network; its pruned weights (of a channel: the bias and norm affine too)
            become zero. Of a wrapper for training on several devices (`DistributedDataParallel`,
            Fabric's) the network inside, by whose names the masks go.
        method: A name in `registry.METHODS` that prunes, `package.module:name`, or a `Method`.
        sparsity: The share to zero, in [0, 1), of the weights that take part: those of the
            method's scope that `only` names, without those that `exclude` names. Or a table of
            patterns, `{"features.*": 0.5, "classifier": 0.9}`: the weights of each pattern are
            ranked by themselves, the first that matches counts, and what none matches stays whole.
            For `combined` one of these, or one for the convolutions and one for the rest. Not
            needed with a granularity `n:m`.
        target: What the cut net may cost, instead of a sparsity: `{"macs": 0.5}`,
            `{"parameters": 100_000}`, `{"bytes": 200_000}`, `{"latency_ms": 2.0, "batch": 1}`;
            below 1 a share of the dense net's. The smallest sparsity that reaches it is found by
            bisection, on copies; `masks.reached` says what it costs. Needs `example_inputs`.
        scope: `all`, `conv` or `non-conv` instead of the method's own.
        ranking: `global` or `layer` instead of the method's own.
        allocation: How much each layer keeps, whatever the ranking says of that: `uniform`,
            `uniform+`, `erk`, or another name in `registry.ALLOCATIONS`, or
            `package.module:name`; the total is that of a global cut, to the weight. `global`: all
            layers are ranked together.
        normalize: `mean`, `l2`, `standard` or `max` instead of the method's own: how scores of
            layers of different scale are made comparable in a global ranking.
        granularity: Of a method that cuts channels `channel` (with everything that shares it),
            `filter` (one convolution's alone), `head` (of attention, with its queries, keys,
            values and what reads them) or `branch` (a residual one, `f` of `x + f(x)`, with all
            its layers). Of a method of weights `weight`; `2:4` or any
            `n:m`: of each `m` weights in a row along the inputs `n` are kept, which says the
            sparsity, too; `4x4`, `1x4`, `4x1` or any block of the weight, as a matrix of outputs
            and what they read; `kernel`: what one filter reads of one channel. A method of the
            other kind stays as it is, or refuses.
        example_inputs: A batch that the model accepts, or a tuple of inputs; needed for channels.
        scores: Scores of your own instead of the method's criterion, higher = keep: name of a
            weight or its module -> a tensor of the weight's shape, or for filters and channels
            one number each. Every weight that takes part needs some.
        statistics: For `slimming`, what `secateur.slim` returned; without them the scales of the
            batch norms that the model has are used.
        data: Batches of training data, for a method whose criterion looks at gradients or
            activations; a copy of the model goes through them once.
        loss: `loss(model, batch)`: the scalar that training minimises.
        options: The method's own options, as in a study file.
        previous: Masks that the new ones must lie within (incremental pruning), or masks of your
            own to start from; a dict of names to bool tensors, True = kept, will do.
        seed: For the random controls.
        round_to: Every layer whose channels may go keeps a multiple of so many (8 suits most
            hardware): the nearest to what the ranking keeps, at least one multiple; a layer
            smaller than that stays whole. The sparsity reached moves by as much.
        tied: Whether a matrix that an embedding shares is left alone (`keep`) or cut (`prune`).
        exclude: Layers that keep every element: names of weights or modules, globs over such
            names (`"features.*"`), classes or their names (`"Conv2d"`). No channel that they
            compute or read is cut; the report names those.
        only: The layers that are cut, likewise; all of the method's scope by default. Others that
            compute one of their channels keep it; those that read them lose columns once the net
            is compacted.
        prunable: Parameters that count as prunable weights whatever else is known of them.
        max_sparsity: The highest share of a layer's weights that may go, for all or by pattern.
        protected: The share of every layer's filters or channels that stay, where these are cut, so
            that no layer is all but emptied; with 0 it is one of them. Of branches a share of all
            of them. A cut that it makes smaller says so in `masks.floored`.

    Returns:
        The masks, applied. `masks.freeze(optimizer)` holds the zeros through training.

    Raises:
        UnknownNameError: No such method, scope, ranking, allocation or granularity.
        MaskError: The sparsity or `round_to` is out of range, a pattern matches nothing, a weight
            is not finite or is sharded over several processes, a target is out of reach, or not
            one of sparsity and target is given.
        ModelError: There is nothing to prune, or the example is missing or does not fit.
        ChannelError: The channels cannot be traced.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 2))
        >>> masks = prune(net, "magnitude", sparsity=0.9)
        >>> masks.zeros, masks.total
        (108, 120)
    """
    recipe = method if isinstance(method, Method) else find_method(method)
    parts = wanted_parts(recipe, scope, ranking, normalize, granularity, options, allocation)
    layers = checked_layers(exclude, only, prunable, max_sparsity, protected)
    round_to = checked_multiple(round_to, weights_only=not is_structured(parts))
    level, goal = _asked(parts, sparsity, target)
    model = uncompiled(model)
    check_whole(model, "prune")
    if previous is not None:
        previous = checked_masks(previous, "previous")
        check_masks(previous, model, layers)
    weights = partial(
        sorted_weights,
        model,
        example_inputs=example_inputs,
        tied=tied,
        prunable=layers.prunable,
    )
    own = None if scores is None else checked_scores(scores, weights().weights)
    if own is not None:
        base = statistics or Statistics()
        statistics = replace(base, gathered={**base.gathered, SCORES: own})
        parts = tuple(replace(part, criterion=SCORES) for part in parts)
    for part in parts:
        check_units(part)
    rounds = rounds_of(parts) if own is None else 1

    def known_of(net: nn.Module) -> Statistics:
        return known_statistics(
            net,
            recipe,
            parts,
            statistics,
            data,
            loss,
            seed=seed,
            example_inputs=example_inputs,
            tied=tied,
            prunable=layers.prunable,
        )

    once = known_of(model) if rounds == 1 else None

    def cut_once(net: nn.Module, asked: Sequence[Sparsity], before: Masks | None) -> Masks:
        select = partial(
            cut,
            net,
            parts,
            asked,
            statistics=known_of(net) if once is None else once,
            previous=before,
            round_to=round_to,
            example_inputs=example_inputs,
            tied=tied,
            layers=layers,
        )
        if example_inputs is None:
            return select()
        return select_channels(net, example_inputs, lambda groups: select(groups_of=groups), layers)

    def cut_at(net: nn.Module, asked: Sequence[Sparsity]) -> Masks:
        return cut_in_rounds(net, asked, rounds, previous, cut_once)

    reached = None
    if goal is not None:
        reached = reach(
            model,
            goal,
            lambda net, share: cut_at(net, [share]),
            example_inputs,
            structured=is_structured(parts),
        )
        level = [reached.sparsity]
    masks = cut_at(model, level)
    masks.reached = reached
    warn_of_what_is_left_out(model, weights(), masks, parts, level, layers)
    return masks.apply(model)


def _asked(
    parts: Sequence[Part], sparsity: Any, target: Any
) -> tuple[Sequence[Sparsity], Target | None]:
    """The level that is asked for, by a sparsity or by `n:m`; or a target."""
    implied = implied_level(parts) if sparsity is None and target is None else None
    if implied is not None:
        return implied, None
    if target is None and sparsity is not None:
        level = checked_level(sparsity)
        check_level(parts, level)
        return level, None
    goal = checked_target(target, sparsity)
    check_no_target(parts, goal)
    return [], goal
