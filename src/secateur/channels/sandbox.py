"""A sandbox: a network runs in it, and nothing of the caller's is other afterwards.

What runs is a copy that shares the caller's parameters (`secateur.channels.rebuild.throwaway`). A
network may write into a parameter all the same, draw random numbers, or have been compiled: here
what it writes is written back, the generators go on where they were, nothing compiles, and what
its functions have cached is forgotten.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from secateur.channels.caches import forgetting
from secateur.foundation.own_tensors import own_tensors

SEED = 0


@contextmanager
def sandbox(model: nn.Module) -> Iterator[WriteBack]:
    """While open, a copy of a network may run.

    Every run draws the same random numbers, whoever runs.

    Args:
        model: The copy that runs.

    Yields:
        What is to be told of every operator that writes.
    """
    own = [one for _, one in own_tensors(model) if isinstance(one, nn.Parameter)]
    keep = WriteBack(own)
    python, old = random.getstate(), np.random.get_state()
    devices = sorted({one.device.index or 0 for one in own if one.is_cuda})
    with torch.random.fork_rng(devices), torch.no_grad():
        torch.default_generator.manual_seed(SEED)
        for device in devices:
            torch.cuda.default_generators[device].manual_seed(SEED)
        random.seed(SEED)
        np.random.seed(SEED)
        try:
            with _eager(), forgetting(model):
                yield keep
        finally:
            keep.undo()
            random.setstate(python)
            np.random.set_state(old)


def _eager() -> Any:
    """Compiled functions run as they were written (nothing is imported for those there are not)."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


def is_in_place(func: Any, kwargs: Any) -> bool:
    """Whether a torch function writes into an argument.

    Example:
        >>> is_in_place(torch.Tensor.add_, {}), is_in_place(torch.add, {})
        (True, False)
    """
    name = str(getattr(func, "__name__", ""))
    return _writes(name) or bool(
        kwargs and not name.startswith("__") and kwargs.get("out") is not None
    )


@lru_cache(maxsize=4096)
def _writes(name: str) -> bool:
    if name.startswith("__"):
        return name == "__setitem__" or (name[2] == "i" and name not in NO_WRITES)
    return name.endswith("_")


NO_WRITES = frozenset({"__index__", "__int__", "__invert__", "__iter__"})


class WriteBack:
    """Saves what is stored where an operator is about to write into a parameter.

    Args:
        parameters: Those of the copy that runs.
    """

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._shared = {one.untyped_storage().data_ptr() for one in parameters if not one.is_meta}
        self._saved: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def before(self, args: Any, kwargs: Any) -> None:
        """An operator is about to write into its first argument, or into `out`."""
        for tensor in (*args[:1], kwargs.get("out")):
            if isinstance(tensor, Tensor):
                self._save(tensor)

    def _save(self, tensor: Tensor) -> None:
        wrapped = torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        if tensor.layout != torch.strided or tensor.is_meta or wrapped:
            return
        storage = tensor.untyped_storage()
        pointer = storage.data_ptr()
        if pointer in self._shared and pointer not in self._saved:
            self._saved[pointer] = storage, storage.clone()  # type: ignore[no-untyped-call]

    def undo(self) -> None:
        """Write everything back."""
        for storage, saved in self._saved.values():
            storage.copy_(saved)
        self._saved.clear()
