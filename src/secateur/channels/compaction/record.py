"""A compaction: the compact network, what was kept, and how everything else follows it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.weak import WeakIdKeyDictionary

from secateur.channels.branches.dataflow import Form
from secateur.channels.rebuild import take
from secateur.errors import ChannelError
from secateur.pruning.masks import Masks
from secateur.pruning.pinned import Report


@dataclass(frozen=True)
class Compaction:
    """A compact network, and the record of what was cut.

    Attributes:
        model: The compact network, of the caller's class.
        kept: By parameter or buffer and axis, the indices that were kept (int64); an axis that
            lost nothing is not there.
        report: What could not be cut, by operator.
        names: The full network's parameters, and their names; they are not kept alive.
        skipped: By module of a residual branch that was taken out, the form of what it gave.
    """

    model: nn.Module
    kept: Mapping[str, Mapping[int, Tensor]]
    report: Report = field(default_factory=Report)
    names: MutableMapping[Any, str] = field(default_factory=WeakIdKeyDictionary, repr=False)
    skipped: Mapping[str, Form] = field(default_factory=dict)

    def shrink(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor in the shape of the full parameter, in the shape of the compact one.

        Args:
            name: The parameter's name.
            tensor: A mask, a gradient or optimizer state of the full parameter.
        """
        return take(tensor, self.kept.get(name, {}))

    def expand(self, state: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A compact state dict in the full shapes, with `like`'s values where channels were cut.

        The same function for a record made with `fold=False`: then the channels that are missing
        are zero in the masked net, and whatever weights read them there multiply zeros.

        Args:
            state: The compact network's state dict.
            like: The masked full network's state dict: its names, shapes, and what fills them.
        """
        return {
            name: self._scatter(name, state[name], full) if name in state else full.clone()
            for name, full in like.items()
        }

    def masks(self, masks: Mapping[str, Tensor]) -> Masks:
        """The masks of the compact network, applied to it and ready to `freeze` an optimizer.

        A parameter that has nothing left to hold has no mask, and an element that folding filled
        is kept.

        Args:
            masks: The masks that the full network was compacted with.

        Example:
            >>> from secateur.channels import compact_with_record
            >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
            >>> mask = torch.tensor([[True, True], [False, True], [False, False]])
            >>> masks = {"0.weight": mask, "0.bias": mask[:, 1]}
            >>> record = compact_with_record(net, masks, torch.zeros(1, 2))
            >>> record.masks(masks)["0.weight"].tolist()
            [[True, True], [False, True]]
        """
        own = dict(self.model.named_parameters(remove_duplicate=False))
        small = {
            name: self.shrink(name, mask) | own[name].detach().ne(0).to(mask.device)
            for name, mask in masks.items()
            if name in own
        }
        held = {name: mask for name, mask in small.items() if not bool(mask.all())}
        return Masks(held).apply(self.model)

    def carry(self, optimizer: Optimizer) -> Optimizer:
        """Let a live optimizer of the full network train the compact one.

        Its parameter groups then hold the compact parameters, with their settings, and momentum
        and second moments lose what the parameters lost; step counters go on, and so do schedulers
        that hold the optimizer. With `fold=False`, training goes on as it would have on the masked
        network. Gradients are not carried: call `zero_grad` first, as for any new step.

        Args:
            optimizer: Any `torch.optim` optimizer whose state has the parameter's shape, element
                by element (SGD, Adam, AdamW, RMSprop, ...); it is changed.

        Returns:
            The same optimizer.

        Raises:
            ChannelError: The optimizer trains another network, or keeps state that cannot be cut.

        Example:
            >>> from secateur.channels import compact_with_record
            >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
            >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
            >>> mask = torch.tensor([True, True, False])
            >>> masks = {"0.weight": mask[:, None].expand(3, 2), "0.bias": mask}
            >>> record = compact_with_record(net, masks, torch.zeros(1, 2), fold=False)
            >>> [p.shape[0] for p in record.carry(optimizer).param_groups[0]["params"]]
            [2, 2, 1, 1]
        """
        full = [one for group in optimizer.param_groups for one in group["params"]]
        if not any(one in self.names for one in full):
            raise ChannelError(
                "carrying an optimizer",
                type(optimizer).__name__,
                given="one that trains no parameter of the network that was compacted",
                expected="the optimizer of the full network",
                remedy="Build a new optimizer from the compact network's parameters.",
            )
        left = {name for name, _ in self.model.named_parameters(remove_duplicate=False)}
        small = {
            one: self._counterpart(one) for one in full if self.names.get(one, "") in {"", *left}
        }
        state = {
            small[one]: {key: self._follow(one, key, value) for key, value in held.items()}
            for one, held in optimizer.state.items()
            if one in small
        }
        for group in optimizer.param_groups:
            group["params"] = [small[one] for one in group["params"] if one in small]
        optimizer.state.clear()
        optimizer.state.update(state)
        return optimizer

    def _counterpart(self, parameter: Tensor) -> Tensor:
        name = self.names.get(parameter)
        return parameter if name is None else self.model.get_parameter(name)

    def _follow(self, parameter: Tensor, key: str, value: Any) -> Any:
        """One entry of the state of one parameter, in the compact shape."""
        name = self.names.get(parameter)
        if isinstance(value, Tensor):
            if name is None or name not in self.kept or value.numel() == 1:
                return value
            if value.shape == parameter.shape:
                return self.shrink(name, value)
        elif not isinstance(value, list | tuple):
            return value
        raise ChannelError(
            "carrying an optimizer",
            name or "a parameter",
            given=f"a state {key!r} that is not of the parameter's shape",
            expected="state that follows the parameter element by element",
            remedy="Build a new optimizer from the compact network's parameters.",
        )

    def _scatter(self, name: str, small: Tensor, full: Tensor) -> Tensor:
        kept = self.kept.get(name)
        if not kept:
            return small.clone()
        if not (full.is_floating_point() or full.is_complex()):
            return full.clone()  # a list of channels numbers them as they were
        grid = full.to(small.device, small.dtype, copy=True)
        index = [
            kept.get(axis, torch.arange(size)).to(small.device)
            for axis, size in enumerate(full.shape)
        ]
        grid[torch.meshgrid(*index, indexing="ij")] = small
        return grid
