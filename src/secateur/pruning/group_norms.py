"""Group norms: how large each channel is over all its places, and what makes small ones smaller."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor, nn

from secateur.pruning.groups import Groups, Slot

ALPHA = 4
"""The smallest group of a layer is shrunk `2 ** ALPHA` times as hard as its largest."""


def each_place(model: nn.Module, groups: Groups) -> list[tuple[Slot, nn.Parameter]]:
    """Every axis of every parameter in which some groups have a place, each once."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    found: dict[tuple[int, int], tuple[Slot, nn.Parameter]] = {}
    for slot in groups.slots:
        parameter = parameters[slot.parameter]
        found.setdefault((id(parameter), slot.axis), (slot, parameter))
    return list(found.values())


class GroupNorms:
    """The norms of a network's channel groups, as they are at each call.

    Args:
        model: The network; its parameters are looked at where they are, and may move.
        groups: Its channels. One without any place is none.

    Example:
        >>> net = nn.Linear(2, 2, bias=False)
        >>> _ = net.weight.data.copy_(torch.tensor([[1.0, 2.0], [0.0, 3.0]]))
        >>> slot = Slot("weight", 0, torch.tensor([0, 1]), "write")
        >>> groups = Groups(("",), torch.tensor([0, 0]), (slot,))
        >>> GroupNorms(net, groups).squared().tolist()
        [5.0, 9.0]
    """

    def __init__(self, model: nn.Module, groups: Groups) -> None:
        self._model, self._groups = model, groups

    def squared(self) -> Tensor:
        """The squared norm of each group: shape `[groups]`, with gradients.

        `I_{g,k} = sum over w in g of ||w[k]||_2^2` (Fang et al. 2023, arXiv 2301.12900, section
        3.3).
        """
        total: Tensor | None = None
        for parameter, axis, index in self._places:
            each = parameter.square().movedim(axis, 0).reshape(len(index), -1).sum(1)
            # What belongs to no group is added up behind the last one.
            start = each.new_zeros(self._groups.count + 1) if total is None else total
            total = start.index_add(0, index, each)
        return torch.zeros(self._groups.count) if total is None else total[:-1]

    def penalty(self) -> Tensor:
        """The regulariser of group sparsity, a scalar with gradients.

        `sum over g, k of gamma_{g,k} I_{g,k}`, with `gamma_{g,k} = 2^(alpha (I_g^max - I_{g,k}) /
        (I_g^max - I_g^min))` and `alpha = 4` (Fang et al. 2023, section 3.3). `g` are the channels
        that are ranked under one layer; the strengths are of the norms at this moment, and no
        gradient goes through them.
        """
        squared = self.squared()
        return (self._strengths(squared.detach()) * squared).sum()

    def _strengths(self, squared: Tensor) -> Tensor:
        """The gamma of each group; 1 in a layer whose groups are all alike."""
        layer, there = self._layer, self._there
        empty = squared.new_zeros(len(self._groups.layers))
        most = empty.scatter_reduce(0, layer[there], squared[there], "amax", include_self=False)
        least = empty.scatter_reduce(0, layer[there], squared[there], "amin", include_self=False)
        spread = (most - least)[layer]
        share = torch.where(spread > 0, (most[layer] - squared) / spread, spread)
        return torch.exp2(ALPHA * share)

    @cached_property
    def _places(self) -> list[tuple[nn.Parameter, int, Tensor]]:
        """Found at the first call, when the parameters are where they will be trained."""
        none = self._groups.count
        return [
            (one, slot.axis, slot.groups.where(slot.groups >= 0, none).to(one.device))
            for slot, one in each_place(self._model, self._groups)
        ]

    @cached_property
    def _layer(self) -> Tensor:
        return self._groups.layer.to(self._places[0][2].device)

    @cached_property
    def _there(self) -> Tensor:
        """Which groups have a place."""
        found = torch.zeros(self._groups.count + 1, dtype=torch.bool, device=self._layer.device)
        for _, _, index in self._places:
            found[index] = True
        return found[:-1].nonzero().squeeze(1)
