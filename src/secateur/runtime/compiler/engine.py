"""Engine: a pruned network packed once, on whatever runs it fastest here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from math import log
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from secateur.channels.rebuild import uncompiled
from secateur.errors import ModelError
from secateur.foundation.run_example import call_arguments
from secateur.runtime.compiler.choice import Choice
from secateur.runtime.compiler.graph import Graph
from secateur.runtime.compiler.report import report
from secateur.runtime.compiler.structure import rebuilt
from secateur.runtime.compiler.trial import Trial
from secateur.runtime.compiler.whole import as_array, as_tensors, holds_arrays

Array = NDArray[np.float32]
Call = Callable[[Tensor], Any]
_KEPT_SIZES = 1024
"""For so many sizes of the batch it is remembered what runs them."""


class Engine:
    """A network in evaluation mode, ready to run; `compile` makes one.

    Call it on a batch `[N, ...]`: a tensor gives a tensor, a numpy array an array. Any N will do,
    and 0 gives an empty output; the plan that was measured at the nearest size of the batch runs.
    Several threads may call it at once. It keeps no graph for gradients, and it has copies of the
    weights: a later change of the model does not reach it (see `is_stale`).

    A weight of exactly zero is not multiplied. So a NaN or an infinity in the input reaches those
    outputs that a weight leads to, and not, as in dense code, all of them. Subnormal numbers may
    be taken for zero.

    A network of several inputs or outputs is called as it was before: with the same arguments,
    by position or by name, or with them in one tuple or dict like the example's.

    It belongs to this machine and process: it is not pickled (save the network instead), and a
    copy of it is itself.

    Attributes:
        choices: Size of the batch -> what was measured, and the plan chosen.
        takes_one: Whether it takes one tensor, and no structure of them.
        inputs: The shapes of the example.
        shape: Of one example, where it takes one tensor.
        threads: Threads inside an operator. What runs in torch uses as many as torch is set to.
        graph: The captured network; None if it could not be captured.
        why_whole: Why it could not.
    """

    def __init__(
        self,
        choices: Mapping[int, Choice],
        *,
        trial: Trial,
        threads: int,
        fingerprint: bytes,
        graph: Graph | None,
        why_whole: str = "",
    ) -> None:
        self.choices = dict(sorted(choices.items()))
        self.takes_one = trial.dtype is not None
        self.inputs = trial.inputs
        self.shape = trial.shape
        self.threads = threads
        self.graph = graph
        self.why_whole = why_whole
        self._dtype = trial.dtype
        self._whole = trial.whole
        self._structure = trial.structure
        self._why = trial.why
        self._none = trial.empty
        self._fingerprint = fingerprint
        self._plans: dict[torch.Size, Call] = {}

    @overload
    def __call__(self, inputs: Tensor) -> Tensor: ...
    @overload
    def __call__(self, inputs: NDArray[Any]) -> Array: ...
    @overload
    def __call__(self, *inputs: Any, **named: Any) -> Any: ...
    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Run a batch.

        Args:
            inputs: `[N, *shape]`, of the example's dtype, on the CPU.
            named: By name, for a network that takes several.

        Returns:
            What the network gives: `[N, ...]`, of the same kind as the inputs.

        Raises:
            ModelError: Another shape, dtype or device.
        """
        if not self.takes_one:
            return self._run_structure(_one_structure(inputs), named)
        if named or len(inputs) != 1:
            raise self._refused(f"{len(inputs) + len(named)} arguments", "one")
        (given,) = inputs
        if isinstance(given, Tensor):
            return self._run(given)
        if isinstance(given, np.ndarray):
            return self._run_array(given)
        raise self._refused(f"a {type(given).__name__}", "a tensor or a numpy array")

    def _run_structure(self, inputs: Any, named: Mapping[str, Any]) -> Any:
        """What has the example's form runs in its plan, all else in the network as it is."""
        arrays = holds_arrays(inputs) or holds_arrays(named)
        args, kwargs = call_arguments(as_tensors(inputs) if arrays else inputs)
        kwargs |= as_tensors(named) if arrays else named
        tensors = None if self._why else self._structure.taken(args, kwargs)
        if not tensors:
            return self._whole(inputs, named)
        pairs = zip(tensors, self._structure.batched, strict=True)
        size = next(len(one) for one, has in pairs if has)
        if not size:
            return self._whole(inputs, named)
        given = [one.detach() if one.requires_grad else one for one in tensors]
        output = self.choice(size).plan(*given)
        return rebuilt(output, as_array) if arrays else output

    def _run_array(self, inputs: NDArray[Any]) -> Any:
        # A copy of what torch would not take as it is: read-only, reversed or unaligned.
        ready = np.require(inputs, requirements=["C", "A", "W"])
        try:
            tensor = torch.from_numpy(ready)
        except (TypeError, ValueError):
            raise self._refused(f"of {inputs.dtype}", str(self._dtype)) from None
        return rebuilt(self._run(tensor), as_array)

    def choice(self, batch: int) -> Choice:
        """What runs a batch of this size: the choice at the nearest size, by their ratio."""
        nearest = min(self.choices, key=lambda size: abs(log(size / max(batch, 1))))
        return self.choices[nearest]

    def is_stale(self, model: nn.Module) -> bool:
        """Whether a model's parameters or buffers differ from those that were packed.

        Example:
            >>> from secateur.runtime.compiler.compiling import compile
            >>> net = nn.Sequential(nn.Linear(4, 2))
            >>> engine = compile(net, torch.zeros(1, 4), seconds=0)
            >>> _ = nn.init.zeros_(net[0].weight)
            >>> engine.is_stale(net)
            True
        """
        return fingerprint(model) != self._fingerprint

    def release(self) -> None:
        """Give back the memory that is kept for the next call, which will take it anew."""
        for choice in self.choices.values():
            choice.release()

    def report(self) -> str:
        """Tables of what was measured and chosen, layer by layer, and of what runs in torch."""
        return report(self)

    def __str__(self) -> str:
        return self.report()

    def __repr__(self) -> str:
        chosen = ", ".join(f"{size}: {each.backend}" for size, each in self.choices.items())
        shape = "x".join(map(str, self.shape)) if self.takes_one else self.inputs
        return f"<Engine for {shape}, by batch {chosen}>"

    def __reduce_ex__(self, _protocol: object) -> Any:
        raise ModelError(
            "pickling an engine",
            "the engine",
            given="packed for this machine and process",
            expected="a network",
            remedy="Write the network with secateur.save, and compile it where it is to run.",
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def _run(self, inputs: Tensor) -> Any:
        # A pass of one example takes some 100 microseconds: each look at the input is worth saving.
        plan = self._plans.get(inputs.shape)
        if plan is None:
            plan = self._plan_for(inputs.shape)
        if inputs.dtype is not self._dtype:
            raise self._refused(f"of {inputs.dtype}", str(self._dtype))
        if not inputs.is_cpu or inputs.layout is not torch.strided:
            raise self._refused(f"on {inputs.device}, {inputs.layout}", "dense, on the CPU")
        return plan(inputs.detach() if inputs.requires_grad else inputs)

    def _plan_for(self, size: torch.Size) -> Call:
        structure = self._structure
        if structure.has_shape(0, size):
            plan = self.choice(size[0]).plan if size[0] or self._none is None else self._empty
        elif structure.has_shape(0, size, structure.dynamic):
            plan = self._whole
        else:
            free = ["?" if at in structure.free[0] else n for at, n in enumerate(self.shape, 1)]
            expected = "x".join(map(str, ("N", *free)))
            raise self._refused(f"of shape {'x'.join(map(str, size)) or '()'}", expected)
        if len(self._plans) < _KEPT_SIZES:
            self._plans[size] = plan
        return plan

    def _empty(self, _inputs: Tensor) -> Any:
        return None if self._none is None else self._none.clone()

    def _refused(self, given: str, expected: str) -> ModelError:
        return ModelError(
            "running the engine",
            "the input",
            given=given,
            expected=expected,
            remedy="Give what the model was compiled for, or compile it again.",
        )


def _one_structure(inputs: tuple[Any, ...]) -> Any:
    """Arguments as they were given, or taken out of the one tuple or mapping that holds them."""
    alone = len(inputs) == 1 and isinstance(inputs[0], tuple | list | Mapping)
    return inputs[0] if alone else inputs


def fingerprint(model: nn.Module) -> bytes:
    """A digest of a model's parameters and buffers: names, types, shapes and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(uncompiled(model).state_dict().items()):
        if isinstance(tensor, Tensor):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            values = tensor.detach().cpu().contiguous().flatten()
            digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.digest()
