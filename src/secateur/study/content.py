"""Content: any Python value as a digest of what it holds, the same in every process.

Two functions that share their text and differ in what they have bound (the variables of a closure,
the arguments of a `partial`, defaults, the object of a bound method, the globals that they read)
have different contents. A function, class or value of an installed package counts by its name.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy
import torch

from secateur.study.ownership import has_file, is_installed, is_mine, is_own

_DEEPEST = 60
_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.device, PurePath)
_NOT_CONTENT = frozenset(
    ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__qualname__",
     "__static_attributes__", "__firstlineno__", "__slotnames__", "_abc_impl", "__parameters__",
     "__abstractmethods__", "__orig_bases__", "__dataclass_params__", "__match_args__")
)  # fmt: skip


class Contents:
    """Digests values; one instance sees each object once, however it hangs together.

    Attributes:
        modules: The user's own modules that what was digested stands in or reads from.
        installed: Names of modules of installed packages, likewise.
        codes: Of the user's own functions that were met.
        globals: `(module, name)` of every global of theirs that a function reads, and its value.

    Example:
        >>> Contents().of(lambda x: x + 1) == Contents().of(lambda x: x + 1)
        True
        >>> Contents().of([1, 2]) == Contents().of([2, 1])
        False
    """

    def __init__(self) -> None:
        self.modules: dict[str, types.ModuleType] = {}
        self.installed: set[str] = set()
        self.codes: list[types.CodeType] = []
        self.globals: dict[tuple[str, str], object] = {}
        self._seen: dict[int, str] = {}
        self._kept: list[object] = []  # an id means an object only as long as that lives
        self._depth = 0

    def of(self, value: object) -> str:
        """The digest of a value, in hex."""
        if isinstance(value, _PLAIN):
            return _digest(type(value).__qualname__, repr(value))
        if id(value) in self._seen:
            return self._seen[id(value)]
        self._seen[id(value)] = "a circle"
        self._kept.append(value)
        self._depth += 1
        parts = self._parts(value) if self._depth <= _DEEPEST else (type(value).__qualname__,)
        self._seen[id(value)] = _digest(*parts)
        self._depth -= 1
        return self._seen[id(value)]

    def _parts(self, value: Any) -> Iterator[str] | tuple[str, ...]:
        if isinstance(value, torch.Tensor):
            return ("tensor", tensor_content(value))
        if isinstance(value, numpy.ndarray):
            return ("array", str(value.dtype), repr(value.tolist()))
        if isinstance(value, numpy.generic):
            return ("number", str(value.dtype), repr(value.item()))
        if isinstance(value, list | tuple):
            return (type(value).__name__, *map(self.of, value))
        if isinstance(value, set | frozenset):
            return ("set", *sorted(map(self.of, value)))
        if isinstance(value, Mapping):
            return ("map", *self._pairs(value))
        if isinstance(value, Enum):
            return ("enum", name_of(type(value)), value.name)
        return self._code(value) or self._object(value)

    def _code(self, value: Any) -> Iterator[str] | tuple[str, ...] | None:
        """What can be called, and what holds it; None for any other object."""
        if isinstance(value, functools.partial):
            return ("partial", *map(self.of, (value.func, value.args, value.keywords)))
        if isinstance(value, types.MethodType):
            return ("method", self.of(value.__self__), self.of(value.__func__))
        if isinstance(value, staticmethod | classmethod):
            return (type(value).__name__, self.of(value.__func__))
        if isinstance(value, property):
            return ("property", *map(self.of, (value.fget, value.fset, value.fdel)))
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.ModuleType):
            self._note(value.__name__)
            return ("module", value.__name__)
        if isinstance(value, types.CodeType):
            return ("code", *_code_words(value))
        if isinstance(value, types.BuiltinFunctionType | types.WrapperDescriptorType):
            self._note(getattr(value, "__module__", None))
            return ("builtin", name_of(value))
        return None

    def _function(self, function: types.FunctionType) -> Iterator[str]:
        yield from ("function", name_of(function))
        if not self._note(function.__module__):
            return
        self.codes.append(function.__code__)
        if not has_file(function.__module__):
            yield from _code_words(function.__code__)
        yield self.of((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                yield self.of(cell.cell_contents)
            except ValueError:  # not bound yet
                yield "empty"
        names = sorted(set(names_of(function.__code__)))
        for name in names:
            if name in function.__globals__:
                yield from (name, self._global(function.__module__, name, function, names))
            elif name in sys.modules:  # imported in the function itself
                self._note(name)
        if wrapped := getattr(function, "__wrapped__", None):
            yield self.of(wrapped)

    def _global(
        self, module: str, name: str, function: types.FunctionType, names: list[str]
    ) -> str:
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            if not self._note(value.__name__):
                return "".join((value.__name__, *map(self.of, _patches_in(value, names, set()))))
            held = vars(value)
            for each in names:
                if each in held:
                    self.globals[value.__name__, each] = held[each]
            return _digest(*(self.of(held[each]) for each in names if each in held))
        self.globals[module, name] = value
        return self.of(value)

    def _class(self, kind: type) -> Iterator[str]:
        yield from ("class", name_of(kind))
        if not self._note(kind.__module__):
            yield from self._patches(kind)
            return
        for base in kind.__bases__:
            yield self.of(base)
        for name, value in sorted(vars(kind).items()):
            if name not in _NOT_CONTENT and not isinstance(value, types.MemberDescriptorType):
                yield from (name, self.of(value))

    def _patches(self, kind: type) -> Iterator[str]:
        """The functions of the user's own in a class that is not."""
        for name, value in sorted(vars(kind).items()):
            if is_mine(value):
                yield from (name, self.of(value))

    def _object(self, value: Any) -> Iterator[str]:
        yield from ("object", self.of(type(value)))
        held = getattr(value, "__dict__", None)
        slots = [
            name
            for kind in type(value).__mro__
            for name in getattr(kind, "__slots__", ())
            if isinstance(name, str) and hasattr(value, name)
        ]
        if isinstance(held, Mapping):
            yield from self._pairs(
                {name: one for name, one in held.items() if not _is_hash(name, one)}
            )
        for name in slots:
            if name not in ("__dict__", "__weakref__") and not _is_hash(name, getattr(value, name)):
                yield from (name, self.of(getattr(value, name)))
        if not held and not slots:
            yield _words(value)
            yield from self._pickled(value)

    def _pickled(self, value: Any) -> Iterator[str]:
        """What an object in C would be pickled as, whose `repr` may leave something out."""
        if isinstance(value, torch.Generator) or type(value).__module__.startswith("numpy.random"):
            return  # where it stands now is no setting
        try:
            made = value.__reduce_ex__(4)
        except Exception:  # whatever it raises: it is not pickled
            return
        if isinstance(made, tuple) and (any(made[2:3]) or made[1] != (type(value),)):
            yield from map(self.of, (list(part) if _is_lazy(part) else part for part in made))

    def _pairs(self, held: Mapping[Any, Any]) -> list[str]:
        return sorted(self.of(name) + self.of(each) for name, each in list(held.items()))

    def _note(self, module: str | None) -> bool:
        """Whether a module is the user's own; it is noted if so."""
        found = sys.modules.get(module or "")
        if module != "__main__" and (found is None or not is_own(found)):
            if found is not None and is_installed(found):
                self.installed.add(found.__name__)
            # Functions that were pickled by value have no module here, and are the user's too.
            return found is None and module is not None
        if found is not None:
            self.modules[module or ""] = found
        return True


def _is_hash(name: object, value: object) -> bool:
    """Whether an attribute remembers what `hash` gave: of text, another number in each process."""
    return isinstance(name, str) and "hash" in name.lower() and type(value) is int


def tensor_content(tensor: torch.Tensor) -> str:
    """A tensor's type, shape and bytes as a digest."""
    if torch.nn.parameter.is_lazy(tensor):
        return _digest("lazy", str(tensor.dtype))
    plain = tensor.detach()
    words = (str(plain.dtype), str(tuple(plain.shape)))
    if plain.layout != torch.strided or plain.is_quantized or plain.is_meta:
        held = () if plain.is_meta else map(tensor_content, _dense_parts(plain))
        return _digest(*words, str(plain.layout), "" if plain.is_meta else _words(plain), *held)
    flat = plain.cpu().contiguous().resolve_conj().resolve_neg().reshape(-1)
    digest = hashlib.sha256(" ".join(words).encode())
    digest.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return digest.hexdigest()


def _dense_parts(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a sparse or quantized tensor is made of; its `repr` is cut short."""
    if tensor.layout == torch.sparse_coo:
        whole = tensor.coalesce()
        return (whole.indices(), whole.values())
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    return (tensor.int_repr(),) if tensor.is_quantized else ()


def name_of(value: Any) -> str:
    """Where a function or a class stands."""
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{getattr(value, '__module__', '')}:{name}"


def names_of(code: types.CodeType) -> Iterator[str]:
    """The names that a function and those in it may look up, parts of dotted imports included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names_of(constant)


def constants_of(code: types.CodeType) -> Iterator[object]:
    """The constants of a function and of those in it."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from constants_of(constant)
        else:
            yield from constant if isinstance(constant, tuple) else (constant,)


def _patches_in(
    module: types.ModuleType, names: list[str], seen: set[str]
) -> Iterator[types.FunctionType]:
    """The functions of the user's own among those names of a module that is not."""
    seen.add(module.__name__)
    for held in map(vars(module).get, names):
        if isinstance(held, types.ModuleType) and held.__name__ not in seen:
            yield from _patches_in(held, names, seen)
        elif is_mine(held):
            yield held


def _is_lazy(value: object) -> bool:
    return isinstance(value, Iterator)


def _code_words(code: types.CodeType) -> Iterator[str]:
    yield from (code.co_code.hex(), " ".join(code.co_names), " ".join(code.co_varnames))
    yield " ".join((*code.co_freevars, *code.co_cellvars))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _code_words(constant)
        else:
            yield _words(
                sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
            )


def _words(value: object) -> str:
    """A `repr` that is the same in every process; the type of what has none."""
    try:
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
    except Exception:
        return name_of(type(value))


def _digest(*words: str) -> str:
    digest = hashlib.sha256()
    for word in words:
        text = word.encode(errors="surrogatepass")
        digest.update(f"{len(text)}:".encode() + text)
    return digest.hexdigest()
