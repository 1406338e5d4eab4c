"""A trial: what a network gives on its example, and whether a plan gives the same."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from secateur.foundation.run_example import (
    Inputs,
    arguments,
    batch_size,
    described,
    same_chance,
    take_rows,
    tensors_in,
)
from secateur.measure.observe import observed
from secateur.runtime.compiler.whole import Whole

_OPERATION = "compiling"
_SEED = 0
_TOLERANCE = 1e-3
"""Of the largest output: far above what the order of a sum changes, far below a wrong plan."""


class Trial:
    """Runs a network on its example.

    Args:
        net: A network of one's own (see `serving_copy`); it is what it was afterwards.
        example: Its inputs, on the CPU.

    Attributes:
        whole: The network as it is.
        inputs: The shapes of the inputs, for people.
        shape: Of one example; empty if it is not one tensor.
        dtype: Of the input; None if it is not one tensor.
        empty: The output for no example at all; None where the network is to be asked.
        why: Why no other engine can run it, as far as that is seen from outside; else empty.

    Raises:
        ModelError: The network fails on the example.
    """

    def __init__(self, net: nn.Module, example: Inputs) -> None:
        self.whole = Whole(net)
        self._net = net
        self._example = example
        self.inputs = described(example)
        self.shape: tuple[int, ...] = ()
        self.dtype: torch.dtype | None = None
        self.empty: Tensor | None = None
        args, kwargs = arguments(example)
        if len(args) == 1 and isinstance(args[0], Tensor) and not kwargs:
            self.shape, self.dtype = tuple(args[0].shape[1:]), args[0].dtype
        self.why = self._look()

    def rows(self, size: int) -> Tensor:
        """The one tensor of the example with so many rows."""
        given = batch_size(self._example)
        ((inputs,), _) = arguments(take_rows(self._example, [row % given for row in range(size)]))
        tensor: Tensor = inputs.contiguous()
        return tensor

    def difference(self, plan: Callable[[Tensor], Tensor], inputs: Tensor) -> str:
        """How a plan's output differs from the network's, in words; empty if it does not.

        Args:
            plan: From a batch to the output.
            inputs: The batch.
        """
        with observed(self._net, _OPERATION, inputs):
            torch.manual_seed(_SEED)
            expected = self._net(inputs.clone())
        with same_chance():
            torch.manual_seed(_SEED)
            given = plan(inputs.clone())
        return _difference(given, expected)

    def _look(self) -> str:
        single = self.dtype is not None
        example = take_rows(self._example, [0, 0]) if single else self._example
        args, kwargs = arguments(example)
        again, named = arguments(example)
        with observed(self._net, _OPERATION, example):
            torch.manual_seed(_SEED)
            output = self._net(*args, **kwargs)
            torch.manual_seed(_SEED)
            repeated = self._net(*again, **named)
        if not single:
            count = len(tensors_in(example))
            return f"it takes {count} tensor{'s' if count != 1 else ''} in a structure"
        if not isinstance(output, Tensor):
            return f"its output is a {type(output).__name__}"
        if output.dim() == 0 or len(output) != 2 or output.layout is not torch.strided:
            return "its output is not one tensor with the batch axis in front"
        self.empty = output.detach()[:0].clone()
        if _difference(repeated, output):
            return "it gives another output each time it runs"
        return ""


def _difference(given: object, expected: object) -> str:
    if not isinstance(given, Tensor) or not isinstance(expected, Tensor):
        return f"a {type(given).__name__} instead of a {type(expected).__name__}"
    if given.shape != expected.shape or given.dtype != expected.dtype:
        return (
            f"{tuple(given.shape)}, {given.dtype} "
            f"instead of {tuple(expected.shape)}, {expected.dtype}"
        )
    # What is not finite in the network may be finite in a plan: zeros are not multiplied there.
    finite = expected.isfinite()
    if not bool(finite.any()):
        return ""
    wanted, found = expected[finite], given[finite]
    wide = torch.complex128 if wanted.is_complex() else torch.float64
    apart = (found.to(wide) - wanted.to(wide)).abs()
    allowed = _TOLERANCE * max(float(wanted.to(wide).abs().max()), 1e-30)
    return "" if bool((apart <= allowed).all()) else f"another output, {float(apart.max()):.2g} off"
