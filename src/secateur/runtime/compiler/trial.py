"""A trial: what a network gives on its example, and whether a plan gives the same."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from secateur.foundation.own_error import kind_of, text_of
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
from secateur.runtime.compiler.structure import Structure
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
        dynamic: Axes beside the first whose size may differ from call to call.

    Attributes:
        net: The network.
        whole: The network as it is.
        structure: How it takes its tensors and gives them.
        inputs: The shapes of the inputs, for people.
        shape: Of one example; empty if it is not one tensor.
        dtype: Of the input; None if it is not one tensor.
        empty: The output for no example at all; None where the network is to be asked.
        why: Why no other engine can run it, as far as that is seen from outside; else empty.

    Raises:
        ModelError: The network fails on the example.
    """

    def __init__(self, net: nn.Module, example: Inputs, dynamic: Collection[int] = ()) -> None:
        self.net = net
        self.whole = Whole(net)
        self._example = example
        self._expected: tuple[Sequence[Tensor], Any] | None = None
        self.structure = Structure(net, example, dynamic)
        self.inputs = described(example)
        self.shape: tuple[int, ...] = ()
        self.dtype: torch.dtype | None = None
        self.empty: Tensor | None = None
        if self.structure.alone:
            (tensor,) = self.structure.tensors
            self.shape, self.dtype = tuple(tensor.shape[1:]), tensor.dtype
        self.why = self._look()

    def rows(self, size: int) -> tuple[Tensor, ...]:
        """The tensors of the example, with so many rows."""
        given = batch_size(self._example)
        inputs = take_rows(self._example, [row % given for row in range(size)])
        return tuple(tensor.contiguous() for tensor in self.structure.within(inputs))

    def as_it_is(self, *tensors: Tensor) -> Any:
        """What the network itself gives for these tensors."""
        if self.structure.alone:
            return self.whole(tensors[0])
        args, kwargs = self.structure.filled([one.clone() for one in tensors])
        return self.whole.called(args, kwargs)

    def difference(self, run: Callable[..., Any], inputs: Sequence[Tensor]) -> str:
        """How an engine's output differs from the network's, in words; empty if it does not.

        Args:
            run: From the tensors to the output.
            inputs: The tensors.
        """
        if self._expected is None or self._expected[0] is not inputs:
            args, kwargs = self.structure.filled([one.clone() for one in inputs])
            with observed(self.net, _OPERATION, list(inputs)):
                torch.manual_seed(_SEED)
                self._expected = (inputs, self.net(*args, **kwargs))
        try:
            with same_chance():
                torch.manual_seed(_SEED)
                given = run(*[one.clone() for one in inputs])
        except Exception as error:
            return f"{kind_of(error)} ({text_of(error, 200)})"
        return _difference(given, self._expected[1])

    def forget(self) -> None:
        """Let go of what the network gave last."""
        self._expected = None

    def _look(self) -> str:
        example = take_rows(self._example, [0, 0])
        args, kwargs = arguments(example)
        again, named = arguments(example)
        with observed(self.net, _OPERATION, example):
            torch.manual_seed(_SEED)
            output = self.net(*args, **kwargs)
            torch.manual_seed(_SEED)
            repeated = self.net(*again, **named)
        self.structure.gives(output)
        if isinstance(output, Tensor) and self.structure.alone and output.dim():
            has_batch = len(output) == 2 and output.layout is torch.strided
            self.empty = output.detach()[:0].clone() if has_batch else None
        if not self.structure.problem and _difference(repeated, output):
            return "it gives another output each time it runs"
        return self.structure.problem


def _difference(given: object, expected: object) -> str:
    """Of whole outputs: what they are made of, then each tensor."""
    if type(given) is not type(expected):
        return f"a {type(given).__name__} instead of a {type(expected).__name__}"
    found, wanted = tensors_in(given), tensors_in(expected)
    if len(found) != len(wanted):
        return f"{len(found)} tensors instead of {len(wanted)}"
    pairs = zip(found, wanted, strict=True)
    return next(filter(None, (_apart(one, other) for one, other in pairs)), "")


def _apart(given: Tensor, expected: Tensor) -> str:
    if given.shape != expected.shape or given.dtype != expected.dtype:
        return (
            f"{tuple(given.shape)}, {given.dtype} "
            f"instead of {tuple(expected.shape)}, {expected.dtype}"
        )
    if not expected.is_floating_point() and not expected.is_complex():
        return "" if torch.equal(given, expected) else "other integers"
    # What is not finite in the network may be finite in a plan: zeros are not multiplied there.
    finite = expected.isfinite()
    if not bool(finite.any()):
        return ""
    wanted, found = expected[finite], given[finite]
    wide = torch.complex128 if wanted.is_complex() else torch.float64
    apart = (found.to(wide) - wanted.to(wide)).abs()
    allowed = _TOLERANCE * max(float(wanted.to(wide).abs().max()), 1e-30)
    return "" if bool((apart <= allowed).all()) else f"another output, {float(apart.max()):.2g} off"
