"""Synaptic flow: what flows through each weight when all signs are taken away; needs no data."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from secateur.errors import MaskError
from secateur.foundation.own_error import text_of
from secateur.foundation.run_example import call_arguments, each_tensor, run_example, tensors_in
from secateur.pruning.weights import Weight


class SynapticFlow:
    """The derivative of `R` by each weight's absolute value, of the weight's shape.

    `R` is the sum of the outputs for an input of ones, with every parameter and buffer replaced
    by its absolute value (Tanaka, Kunin, Yamins and Ganguli 2020, arXiv 2006.05467, equation 2),
    in float64, in which deep nets neither overflow nor vanish. Inputs that are no floating-point
    numbers (tokens, masks) stay as they are.
    """

    backward = False
    from_example = True

    def __init__(self, weights: Mapping[str, Weight], model: nn.Module) -> None:
        self._names = tuple(weights)
        self._model = model
        self._found: Mapping[str, Tensor] = {}

    def see(self, example_inputs: Any) -> None:
        """Let the flow of an example's shape through.

        Args:
            example_inputs: A batch that the network accepts.

        Raises:
            ModelError: The network fails on the example.
            MaskError: There is none, the network cannot be run in float64, or what comes out
                depends on no weight.
        """
        if example_inputs is None:
            raise _refused("example_inputs", "missing", "a batch that the model accepts")
        run_example(self._model, example_inputs)
        net = copy.deepcopy(self._model).double()
        with torch.no_grad():
            for tensor in net.state_dict().values():
                if tensor.is_floating_point():
                    tensor.abs_()
        positional, named = call_arguments(each_tensor(example_inputs, _ones))
        with torch.enable_grad():
            try:
                outputs = net(*positional, **named)
            except Exception as error:
                given = f"a network that fails in float64 ({text_of(error)})"
                raise _refused(type(self._model).__name__, given, "one that runs") from error
            terms = [one.sum() for one in tensors_in(outputs) if one.requires_grad]
        if not terms:
            raise _refused("the outputs", "none that depends on a weight", "at least one")
        parameters = dict(net.named_parameters(remove_duplicate=False))
        own = [parameters[name] for name in self._names]
        flows: Sequence[Tensor | None] = torch.autograd.grad(
            torch.stack(terms).sum(), own, allow_unused=True
        )
        self._found = {
            name: torch.zeros_like(one) if flow is None else flow
            for name, one, flow in zip(self._names, own, flows, strict=True)
        }

    def note(self) -> None:
        """Batches are nothing to it."""

    def close(self) -> Mapping[str, Tensor]:
        """Weight name -> the derivative, float64."""
        return self._found


def _refused(subject: str, given: str, expected: str) -> MaskError:
    return MaskError(
        "gathering statistics",
        subject,
        given=given,
        expected=f"{expected}, for the synaptic flow",
        remedy="Pass example_inputs= that the network accepts, or choose another method.",
    )


def _ones(tensor: Tensor) -> Tensor:
    return torch.ones_like(tensor, dtype=torch.float64) if tensor.is_floating_point() else tensor
