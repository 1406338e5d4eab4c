"""Freezing: pruned elements stay bitwise zero through training, whatever the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from secateur.errors import MaskError

if TYPE_CHECKING:
    from secateur.pruning.masks import Masks

_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}


@dataclass
class _Held:
    """One parameter and its mask as machine words: all ones where kept, zero where pruned."""

    parameter: nn.Parameter
    words: Tensor

    def clear(self, tensor: Tensor) -> None:
        if self.words.device != tensor.device:
            self.words = self.words.to(tensor.device)
        # An AND of the bits clears NaN, infinity and -0 as well; a product would keep all three.
        tensor.detach().view(self.words.dtype).bitwise_and_(self.words)


class Freeze:
    """Holds pruned elements at exactly +0 for as long as it is in place.

    Two hooks do it, and the user's model and loop stay as they are. After each accumulation the
    gradients of pruned elements are cleared, so gradient clipping, momentum and second moments see
    only what is kept. After each step of the optimizer the elements themselves are cleared, so no
    momentum, weight decay or fused kernel can bring one back. State that the optimizer has
    gathered before is cleared at the start.

    Args:
        masks: What to hold.
        model: The network whose parameters the masks name.
        optimizer: Any `torch.optim.Optimizer`; some of its parameters may be unmasked.

    Raises:
        MaskError: The masks do not fit the model, or the optimizer trains none of it.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> from secateur.pruning.masks import Masks
        >>> masks = Masks({"weight": torch.tensor([[True, False]])}).apply(net)
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        >>> with masks.freeze(optimizer):
        ...     net(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> net.weight[0, 1].item()
        0.0
    """

    def __init__(self, masks: Masks, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._held = [
            _Held(parameter, _words(masks[name], parameter))
            for name, parameter in masks.parameters_of(model).items()
        ]
        trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if self._held and not any(id(held.parameter) in trained for held in self._held):
            raise MaskError(
                "freezing masks",
                "the optimizer",
                given="one that trains no masked parameter",
                expected="the optimizer of the model that the masks were applied to",
                remedy="Build the optimizer from this model's parameters (after any copy).",
            )
        self._clear_state(optimizer)
        self._handles: list[RemovableHandle] = [optimizer.register_step_post_hook(self._after_step)]
        for held in self._held:
            if held.parameter.requires_grad:
                register: Any = held.parameter.register_post_accumulate_grad_hook
                self._handles.append(register(_gradient_hook(held)))
        self.clear()

    def clear(self) -> None:
        """Write +0 into every pruned element now."""
        for held in self._held:
            held.clear(held.parameter)

    def remove(self) -> None:
        """Let the pruned elements train again."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.remove()

    def _after_step(self, *_: Any) -> None:
        self.clear()

    def _clear_state(self, optimizer: torch.optim.Optimizer) -> None:
        for held in self._held:
            for value in optimizer.state.get(held.parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == held.parameter.shape:
                    value.masked_fill_(held.words.to(value.device) == 0, 0)


def _gradient_hook(held: _Held) -> Any:
    def clear(parameter: Tensor) -> None:
        if parameter.grad is not None:
            held.clear(parameter.grad)

    return clear


def _words(mask: Tensor, parameter: nn.Parameter) -> Tensor:
    words = torch.zeros_like(parameter, dtype=_BITS[parameter.element_size()])
    return words.masked_fill_(mask.to(parameter.device), -1)
