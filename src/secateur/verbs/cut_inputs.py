"""Inputs of a cut: what a caller wants of a method, and what its criteria know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from secateur.errors import MaskError, UnknownNameError
from secateur.foundation.granularity import EXAMPLES, parse_granularity
from secateur.pruning.allocation import Ranking
from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.criterion import SCALES, Statistics
from secateur.pruning.layers import Layers
from secateur.pruning.masks import Masks
from secateur.pruning.method import Granularity, Method, Part, parts_of
from secateur.pruning.normalize import Normalize
from secateur.pruning.patterns import Pattern
from secateur.pruning.request import checked_word
from secateur.pruning.slimming_norms import norm_scales
from secateur.pruning.statistics import Batches, Loss, collected, gather, needs_data
from secateur.pruning.weights import Scope, Tied
from secateur.registry import ALLOCATIONS, METHODS
from secateur.spec import method_settings


def known_statistics(
    model: nn.Module,
    method: Method,
    parts: Sequence[Part],
    given: Statistics | None = None,
    data: Batches | None = None,
    loss: Loss | None = None,
    *,
    seed: int = 0,
    example_inputs: Any = None,
    tied: Tied = "keep",
    prunable: Sequence[Pattern] = (),
) -> Statistics:
    """What a method's criteria know: what was given, the scales of norms, what data show.

    Args:
        model: The network.
        method: The method.
        parts: Its cuts.
        given: What the caller knows.
        data: Batches of training data.
        loss: The scalar loss of one.
        seed: For criteria that draw, and for whatever the pass over the data draws.
        example_inputs: A batch that the model accepts.
        tied: Whether a matrix that an embedding shares is a weight.
        prunable: Patterns of parameters that are weights, too.

    Raises:
        MaskError: What the data show is not finite, or one of data and loss is given and both are
            needed.
    """
    by_scales = method.prepare is not None and method.prepare.gives == SCALES
    if given is None and by_scales and example_inputs is not None:
        given = norm_scales(model, example_inputs)
    known = replace(given or Statistics(), seed=seed)
    unknown = [name for name in collected(parts) if not known.has(name)]
    if any(map(needs_data, unknown)):
        _check_both(data, loss)
    missing = [
        name for name in unknown if (data if needs_data(name) else example_inputs) is not None
    ]
    if not missing:
        return known
    found = gather(
        model,
        missing,
        data or (),
        loss or _no_loss,
        seed=seed,
        example_inputs=example_inputs,
        tied=tied,
        prunable=prunable,
    )
    return replace(known, gathered={**known.gathered, **found})


def _check_both(data: Batches | None, loss: Loss | None) -> None:
    if (data is None) == (loss is None):
        return
    given, other = ("loss", "data") if data is None else ("data", "loss")
    raise MaskError(
        "prune",
        other,
        given=f"left out beside {given}=",
        expected="both: the loss says how the network takes a batch, also where only activations "
        "are looked at",
        remedy="Pass data= (batches of training data) and loss= (`loss(model, batch)`, a scalar).",
    )


def _no_loss(model: nn.Module, batch: object) -> Tensor:
    """Where no batch is looked at, there is none to take it of."""
    raise NotImplementedError


def wanted_parts(
    method: Method,
    scope: Scope | None,
    ranking: Ranking | None,
    normalize: Normalize | None,
    granularity: Granularity | None,
    options: Mapping[str, Any] | None,
    allocation: str | None = None,
) -> tuple[Part, ...]:
    """A method's parts with what the caller wants instead, and with its options.

    Args:
        method: The method.
        scope: Instead of its own.
        ranking: Instead of its own.
        normalize: Instead of its own.
        granularity: Instead of its own, of the parts that cut channels, or of those that cut
            weights.
        options: Its own options, as in a study file.
        allocation: Instead of its own.

    Raises:
        UnknownNameError: No such word, or option.
        SpecError: An option is out of range.
        MaskError: The method cuts nothing, or not at that granularity.
    """
    settings = method_settings(
        method.name, method.options, dict(options or {}), "the options of prune"
    )
    asked = {
        "scope": checked_word("scope", scope, Scope),
        "ranking": checked_word("ranking", ranking, Ranking),
        "normalize": checked_word("normalize", normalize, Normalize),
        "granularity": _checked_granularity(granularity),
        "allocation": allocation,
    }
    if allocation is not None:
        ALLOCATIONS.open(allocation)
    if not method.parts:
        raise MaskError(
            "prune",
            "the method",
            given=f"{method.name!r}, a control that cuts nothing",
            expected="a method that prunes",
            remedy=f"Choose one of {', '.join(n for n in METHODS if METHODS[n].parts)}.",
        )
    given = {name: word for name, word in asked.items() if word is not None}
    return parts_of(method, settings.model_copy(update=given))


def _checked_granularity(word: object) -> object:
    try:
        return None if word is None else parse_granularity(word)
    except ValueError:
        raise UnknownNameError("granularity", word, EXAMPLES) from None


def check_masks(previous: Masks, model: nn.Module, layers: Layers) -> None:
    """Refuse masks of another network, and such as would cut what is to keep every element.

    Args:
        previous: What a cut starts from.
        model: The network.
        layers: Its choice of layers.

    Raises:
        MaskError: They are such masks.
    """
    excluded = {id(one) for one in ChosenLayers(model, layers).excluded.values()}
    for name, parameter in previous.parameters_of(model).items():
        if id(parameter) not in excluded:
            continue
        lost = parameter.detach()[~previous[name].to(parameter.device)]
        if bool(lost.count_nonzero()):
            raise MaskError(
                "prune",
                "the masks that are there",
                given=f"masks that cut {int(lost.count_nonzero())} elements of {name}, which "
                "exclude leaves out",
                expected="masks that keep every element of what is left out",
                remedy=f"Take {name} out of one of both.",
            )
