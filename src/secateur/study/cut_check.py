"""Cut check: what the methods of a study would cut of its net, looked at before anything trains."""

from __future__ import annotations

from typing import Any

from torch import nn

from secateur.pruning.chosen_layers import ChosenLayers
from secateur.pruning.layers import Layers, one_each
from secateur.pruning.method import Method
from secateur.pruning.weights import in_scope, sorted_weights
from secateur.registry import METHODS
from secateur.spec import StudySpec
from secateur.study.plan import copied, layers_of, settings_for
from secateur.study.run import parts_of
from secateur.verbs.units import groups_of


def check_cuts(study: StudySpec, name: str, model: nn.Module, example: Any) -> None:
    """Look for what a method prunes, and for every layer that its settings name.

    Args:
        study: The settings.
        name: The method's name.
        model: The net, in any state.
        example: A batch that it accepts.

    Raises:
        ModelError: There is nothing to prune.
        MaskError: A pattern matches nothing, or the choice of layers leaves nothing to prune.
        ChannelError: The channels cannot be traced.
    """
    method: Method = METHODS[name]
    if method.start == "initial":
        return check_cuts(study, copied(study.methods[name]), model, example)
    layers = Layers(**layers_of(study, name))
    every = sorted_weights(model, prunable=layers.prunable).weights
    parts = parts_of(method, settings_for(study, name))
    scopes = [in_scope(every, part.scope, type(model).__name__) for part in parts]
    for part in parts:
        if part.granularity != "weight":
            groups_of(model, part, example, layers)
    for level in study.levels_of(name) if parts else ():
        chosen = ChosenLayers(model, layers, [one for one in level if isinstance(one, tuple)])
        chosen.check(every)
        chosen.pools_of(scopes, one_each(len(parts), level))
    return None
