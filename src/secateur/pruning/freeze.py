"""Freezing: pruned elements stay bitwise zero through training, whatever the optimizer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.pruning.held import Held, Owner, held_of, words_of
from secateur.pruning.naming import masked_parameters
from secateur.pruning.optimizers import trained_by, wrapped
from secateur.pruning.stepping import Stepper, clear_state, follow_names, stepper_of


class Freeze:
    """Holds pruned elements at exactly +0 for as long as it is in place.

    Two hooks do it, and the user's model and loop stay as they are. After each accumulation the
    gradients of pruned elements are cleared, so gradient clipping, momentum and second moments see
    only what is kept. After each step of the optimizer the elements themselves are cleared, so no
    momentum, weight decay or fused kernel can bring one back. State that the optimizer has
    gathered before is cleared at the start.

    A parameter is held once: a later freeze of it, with the same optimizer or another, takes this
    one's place, and `remove` of this one then lets go only what it still holds. As a context
    manager a freeze gives back at the end what was held before.

    What is held is known by its name: a parameter that takes a held one's place (a checkpoint
    loaded with `assign=True`, a layer put in another's place, a parametrization that keeps zeros)
    is held after the next step of any `torch.optim.Optimizer`, and a second optimizer that trains
    a held parameter is followed, too.

    Args:
        masks: What to hold: parameter names -> bool tensors, True = kept.
        model: The network whose parameters the masks name.
        optimizer: Any `torch.optim.Optimizer`, or what a training library wraps around one; some
            of its parameters may be unmasked.

    Raises:
        MaskError: The masks do not fit the model, or the optimizer trains none of it. Later, at a
            step: a held parameter has changed its shape, or is computed from others that do not
            keep its zeros.

    Example:
        >>> import torch
        >>> net = nn.Linear(2, 1, bias=False)
        >>> masks = {"weight": torch.tensor([[True, False]])}
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        >>> with Freeze(masks, net, optimizer):
        ...     net(torch.ones(1, 2)).sum().backward()
        ...     optimizer.step()
        >>> net.weight[0, 1].item()
        0.0
    """

    def __init__(self, masks: Mapping[str, Tensor], model: nn.Module, optimizer: Any) -> None:
        parameters = masked_parameters(masks, model)
        optimizers = wrapped(optimizer)
        trained = trained_by(optimizers)
        if parameters and not any(id(parameter) in trained for parameter in parameters.values()):
            raise MaskError(
                "freezing masks",
                "the optimizer",
                given="one that trains no masked parameter",
                expected="the optimizer of the model that the masks were applied to",
                remedy="Build the optimizer from this model's parameters (after any copy).",
            )
        self._mark = Owner()
        self._before: list[tuple[Held, Tensor, Owner | None]] = []
        steppers = [stepper_of(one) for one in optimizers]
        taken = [
            (name, parameter, self._take(parameter, masks[name], steppers))
            for name, parameter in parameters.items()
            # What another optimizer trains and holds stays with it.
            if id(parameter) in trained or held_of(parameter) is None
        ]
        for _, _, held in taken:
            held.clear()
            held.clear_gradient()
        for optimizer in optimizers:
            for name, parameter in parameters.items():
                clear_state(optimizer, parameter, masks[name])
        follow_names(model, taken)

    def _take(self, parameter: nn.Parameter, mask: Tensor, steppers: Iterable[Stepper]) -> Held:
        words = words_of(mask, parameter)
        held = held_of(parameter)
        if held is None:
            held = Held(parameter, words)
        else:
            self._before.append((held, held.words, held.owner))
        held.words, held.owner = words, self._mark
        self._mark.held.append(held)
        for stepper in steppers:
            stepper.add(held)
        return held

    def clear(self) -> None:
        """Write +0 into every pruned element now."""
        for held in self._own():
            held.clear()

    def remove(self) -> None:
        """Let the pruned elements train again."""
        for held in self._own():
            held.release()
        self._mark.held, self._before = [], []

    def _own(self) -> list[Held]:
        """What no later freeze has taken over."""
        return [held for held in self._mark.held if held.owner is self._mark]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for held, words, owner in self._before:
            if held.owner is self._mark:
                held.words, held.owner = words, owner
        self.remove()
