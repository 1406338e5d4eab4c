"""Known tensors: of which tensors the tape has seen what they are made of.

A tensor counts as constant only if it was seen to be made of constants. Torch has many ways to make
or to write a tensor that no torch function mode sees: scripted functions, kernels of a C++
extension, memory shared with numpy. So what was not seen being made is taken for an activation;
operators that run outside of every torch function are watched one level below, and hold what they
touch; memory that was handed out, or written through another name, is constant no more.
"""

from __future__ import annotations

import random
import sys
import zlib
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from secateur.channels.closures import is_empty
from secateur.foundation.own_tensors import each_module, own_tensors
from secateur.foundation.run_example import tensors_in

# What hands out a tensor's memory: whoever has it may write there, and no operator shows it.
HANDED_OUT = frozenset(
    (
        *("numpy", "__array__", "array", "__dlpack__", "dlpack", "data_ptr", "untyped_storage"),
        *("storage", "typed_storage", "cuda_array_interface", "share_memory", "set", "ctypes"),
    )
)


ATOMS = frozenset((int, float, bool, str, type(None), torch.dtype, type))
ATTRIBUTE = "an attribute: "
CHANCE = "random numbers of Python's or numpy's"


class Writes:
    """How often memory was written with what is not constant, and whether it was handed out."""

    def __init__(self) -> None:
        self._count: dict[int, int] = {}
        self._shared: set[int] = set()
        self._learnt: set[int] = set()

    def note(self, tensor: Tensor, *, given: bool = False) -> None:
        """The tensor's memory was written, with what comes from inputs alone if `given`."""
        address = _address(tensor)
        self._count[address] = self._count.get(address, 0) + 1
        if not given:
            self._learnt.add(address)

    def is_learnt(self, tensor: Tensor) -> bool:
        """Whether something that layers compute may lie in its memory."""
        return bool(self._learnt or self._shared) and (
            _address(tensor) in self._learnt or _address(tensor) in self._shared
        )

    def hand_out(self, tensor: Tensor) -> None:
        """The tensor's memory may be written by others from now on."""
        self._shared.add(_address(tensor))

    def state(self, tensor: Tensor) -> int:
        """A number that stays the same as long as nothing was written; -1 if that is not known."""
        if not self._count and not self._shared:
            return 0
        address = _address(tensor)
        return -1 if address in self._shared else self._count.get(address, 0)


def _address(tensor: Tensor) -> int:
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # sparse, wrapped or without storage
        return id(tensor)


def contents(tensor: Tensor) -> int:
    """A number that is another one once the tensor's memory was written, by whomever.

    Example:
        >>> one = torch.zeros(3)
        >>> before = contents(one)
        >>> _ = one[1:].fill_(2)
        >>> contents(one) == before
        False
    """
    if tensor.layout != torch.strided or tensor.is_meta:
        return 0
    try:
        memory = torch.empty(0, dtype=torch.uint8, device=tensor.device)
        memory.set_(tensor.untyped_storage())
        return zlib.crc32(memory.cpu().numpy().data)
    except (NotImplementedError, RuntimeError, TypeError):  # wrapped, or of a kind of its own
        return 0


def dice() -> int:
    """A number that is another one once Python or numpy has drawn a random number."""
    kind, keys, *rest = np.random.get_state()
    return hash((random.getstate(), kind, np.asarray(keys).tobytes(), *rest))


def is_borrowed(tensor: Tensor) -> bool:
    """Whether a tensor's memory is somebody else's, who may write there at any time.

    Example:
        >>> import numpy as np
        >>> is_borrowed(torch.from_numpy(np.zeros(2))), is_borrowed(torch.zeros(2))
        (True, False)
    """
    try:
        return not tensor.untyped_storage().resizable()
    except (NotImplementedError, RuntimeError):
        return True


class Unseen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notices every operator that runs outside of the torch functions that a tape sees.

    While a torch function runs it is taken off torch's stack, for it costs more there than most
    operators do.

    Args:
        is_inside: Whether a torch function is running.
        report: Told the operator's name, its tensors, and whether it writes into them.
    """

    def __init__(
        self, is_inside: Callable[[], bool], report: Callable[[str, list[Tensor], bool], None]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._is_inside, self._report = is_inside, report

    def pause(self) -> bool:
        """Go off the stack, if nobody else has come to lie on top; whether it did."""
        depth = torch._C._len_torch_dispatch_stack()
        if not depth or torch._C._get_dispatch_stack_at(depth - 1) is not self:
            return False
        torch._C._pop_torch_dispatch_stack(None)
        return True

    def resume(self) -> None:
        """Go back to where it was."""
        torch._C._push_on_torch_dispatch_stack(self)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not self._is_inside():
            schema = getattr(func, "_schema", None)
            name = str(getattr(schema, "name", func)).removeprefix("aten::")
            writes = bool(getattr(schema, "is_mutable", True))
            self._report(name, tensors_in((args, kwargs)), writes)
        return func(*args, **(kwargs or {}))


def unwrapped(tensor: Tensor) -> Tensor | None:
    """The tensor inside one that `vmap` or another transform of functions has wrapped."""
    functorch = torch._C._functorch
    if not functorch.is_functorch_wrapped_tensor(tensor):
        return None
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def held(model: nn.Module) -> Iterator[Tensor]:
    """Tensors that a network had before it ran, besides parameters and buffers.

    They lie in attributes of its modules, in the files of its classes, and in what its functions
    close over.
    """
    modules = [module for _, module in each_module(model)]
    kinds = {kind for known in {*map(type, modules)} for kind in known.__mro__}
    files = {sys.modules.get(kind.__module__) for kind in kinds if not _is_torch(kind)}
    homes = [vars(one) for one in (*modules, *files) if one is not None]
    for value in [one for home in homes for one in tuple(home.values()) if type(one) not in ATOMS]:
        yield from _tensors(value)


def lists_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Buffers of whole numbers in one row that a network's files hold."""
    rows = [
        (name, one)
        for name, one in own_tensors(model)
        if one.dim() == 1
        and one.dtype in (torch.int64, torch.int32)
        and not isinstance(one, nn.Parameter)
    ]
    saved = model.state_dict(keep_vars=True) if rows else {}
    yield from ((name, one) for name, one in rows if name in saved)


def memory_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Where the buffers and the other tensors of its modules lie, and how often each was written.

    What is another one after a run remembers that run: it is no constant.
    """
    places: dict[str, tuple[int, ...]] = {}
    for prefix, module in each_module(model):
        for name, buffer in module._buffers.items():
            if buffer is not None:
                places[prefix + name] = (id(buffer), buffer._version)
        for name, value in vars(module).items():
            if name.startswith("_") or type(value) in ATOMS:
                continue
            kept = list(_listed(value))
            if kept and not all(isinstance(one, nn.Parameter) for one in kept):
                places[ATTRIBUTE + prefix + name] = tuple(map(id, kept))
    return places


def _tensors(value: Any) -> Iterator[Tensor]:
    yield from _listed(value)
    if isinstance(value, FunctionType) and not _is_torch(value):
        for cell in value.__closure__ or ():
            if not is_empty(cell):
                yield from _listed(cell.cell_contents)
        for name in value.__code__.co_names:
            yield from _listed(value.__globals__.get(name))


def _listed(value: Any) -> Iterator[Tensor]:
    """A tensor, or those in a list or a dict; no deeper, for data may be endless."""
    if isinstance(value, Tensor):
        yield value
    elif type(value) in (tuple, list, dict):
        items = value.values() if type(value) is dict else value
        yield from (one for one in tuple(items) if isinstance(one, Tensor))


def _is_torch(value: Any) -> bool:
    return str(value.__module__).partition(".")[0] in ("torch", "builtins")
