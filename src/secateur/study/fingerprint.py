"""Fingerprint: everything that a user's own network is made of, as digests that name its runs.

A run of a network of one's own is named by the network as it is built under the run's seed (every
parameter, buffer, layer and attribute), by the text of every module of one's own that the builder
and the layers stand in or import, however deep, and by what the builder has bound. So whatever
was changed, an import, a closure, a checkpoint, a constant, a layer's file, there are new runs.

The workers make the network anew. What they build is compared with what the plan was made of, and
a run whose network is another fails instead of recording another network's numbers.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import invalidate_caches
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from secateur.errors import ModelError
from secateur.study.content import Contents, name_of, tensor_content
from secateur.study.module_text import FILE, Parts, files, text_digest
from secateur.study.ownership import has_file
from secateur.study.surroundings import (
    PACKAGE,
    VARIABLE,
    installed_modules,
    surroundings,
)

_LOADED: Parts = {}

_MODULE_STATE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL, _ATTRIBUTE = "the global ", "the attribute "
_CODE = "the code of "


def fingerprints(
    builder: Callable[..., object], build: Callable[[int], nn.Module], seeds: Sequence[int]
) -> dict[int, Parts]:
    """Everything that the network of each seed is made of.

    The first seed's is built twice: what differs between two nets of one seed is no setting.

    Args:
        builder: The user's function.
        build: Calls it under a seed.
        seeds: At least one.

    Raises:
        ModelError: Weights or layers differ between two nets of one seed.
    """
    contents = Contents()
    shared = {_CODE + "the builder": contents.of(builder)}
    net = build(seeds[0])
    first, second = net_parts(net), net_parts(build(seeds[0]))
    for name in sorted(first.keys() | second.keys()):
        if first.get(name) != second.get(name) and not name.startswith(_ATTRIBUTE):
            raise _random(name)
    steady = {name for name in first if first[name] == second.get(name)}
    modules = list(net.modules())
    for kind in {type(module) for module in modules}:
        shared[f"{_CODE}{name_of(kind)}"] = contents.of(kind)
    for (module, name), value in contents.globals.items():
        if has_file(module) and (found := _settled(value)) is not None:
            shared[f"{_GLOBAL}{module}:{name}"] = found
    kinds = {kind.__module__ for module in modules for kind in type(module).__mro__}
    kinds |= installed_modules(contents)
    shared |= files({*contents.modules, *kinds, getattr(builder, "__module__", "") or ""})
    shared |= surroundings(contents)
    parts = {seeds[0]: first, **{seed: net_parts(build(seed)) for seed in seeds[1:]}}
    return {
        seed: shared
        | {
            name: part
            for name, part in own.items()
            if name in steady or not name.startswith(_ATTRIBUTE)
        }
        for seed, own in parts.items()
    }


def _random(name: str) -> ModelError:
    return ModelError(
        "building the network twice under one seed",
        name,
        given="different in the two",
        expected="the same network each time",
        remedy="Draw from torch's, NumPy's or Python's global generator, which are seeded, and "
        "from no clock, no generator of your own and no file that changes.",
    )


def import_anew(path: str) -> None:
    """Forget the modules behind `package.module:function` if the text of one has changed.

    A notebook may sweep, edit a layer's file and sweep again. The workers read the new text, and
    so this process has to as well.
    """
    now = files({path.partition(":")[0]})
    if any(_LOADED.get(name, digest) != digest for name, digest in now.items()):
        for name in now:
            module = sys.modules.pop(name.removeprefix(FILE), None)
            if module is not None and module.__file__:
                # By its time in whole seconds, compiled text can look younger than it is.
                Path(cache_from_source(module.__file__)).unlink(missing_ok=True)
        invalidate_caches()


def note_files(parts: Mapping[str, str]) -> None:
    """Remember the text of modules as this process has imported them."""
    _LOADED.update((name, digest) for name, digest in parts.items() if name.startswith(FILE))


def digest_of(parts: Mapping[str, str]) -> str:
    """One SHA-256 of all parts."""
    text = "\n".join(f"{name} {parts[name]}" for name in sorted(parts))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def check_net(net: nn.Module, expected: Mapping[str, str]) -> None:
    """Compare a net that a worker has built with the one that its run is named by.

    Raises:
        ModelError: Something is not as the plan has it; it is named.
    """
    found = net_parts(net)
    for name, digest in expected.items():
        if name.startswith((_CODE, PACKAGE, VARIABLE)):
            # What is pickled by value is the same, files are compared as text, and a worker has
            # the sweep's packages and environment.
            continue
        if name.startswith(FILE):
            now = text_digest(name.removeprefix(FILE))
            # One that only the plan's process has imported plays no part here.
            same = now in (None, digest)
        elif name.startswith(_GLOBAL):
            module, _, attribute = name.removeprefix(_GLOBAL).partition(":")
            held = vars(sys.modules[module]) if module in sys.modules else {}
            same = attribute not in held or _settled(held[attribute]) == digest
        else:
            same = found.get(name) == digest
        if not same:
            raise _changed(name)
    for name in found.keys() - expected.keys():
        if not name.startswith(_ATTRIBUTE):
            raise _changed(name)


def _changed(name: str) -> ModelError:
    return ModelError(
        "building the network in a worker",
        name,
        given="not as it was when the sweep began",
        expected="the network that the run is named by",
        remedy="Leave its files alone while a sweep runs, set nothing in its modules from outside, "
        "and give the command again: changed networks get new runs.",
    )


def net_parts(net: nn.Module) -> Parts:
    """A net as it stands: parameters, buffers, layers and their attributes."""
    parts: Parts = {}
    contents = Contents()
    places: dict[object, list[str]] = {}
    for name, parameter in net.named_parameters(remove_duplicate=False):
        trained = "" if parameter.requires_grad else " frozen"
        parts[f"the parameter {name}"] = tensor_content(parameter) + trained
        places.setdefault(id(parameter), []).append(name)
        for place, hook in enumerate((parameter._backward_hooks or {}).values()):
            parts[f"{_ATTRIBUTE}{name}._backward_hooks.{place}"] = contents.of(hook)
    for name, buffer in net.named_buffers(remove_duplicate=False):
        parts[f"the buffer {name}"] = tensor_content(buffer)
        places.setdefault(id(buffer), []).append(name)
    for names in places.values():
        if len(names) > 1:  # equal weights are trained apart, and one weight is not
            parts[f"the shared {names[0]}"] = " ".join(names)
    for path, module in net.named_modules(remove_duplicate=False):
        parts[f"the layer {path or '(the whole)'}"] = _layer(module)
        for name, value in vars(module).items():
            if name not in _MODULE_STATE:
                parts[f"{_ATTRIBUTE}{path}.{name}"] = contents.of(value)
        for hooks in _HOOKS:
            for place, hook in enumerate(getattr(module, hooks).values()):
                parts[f"{_ATTRIBUTE}{path}.{hooks}.{place}"] = contents.of(hook)
    return parts


def _layer(module: nn.Module) -> str:
    words = f"{name_of(type(module))}({_words(module)})"
    if isinstance(module, nn.ModuleDict):  # other than in a class's text, the order is a setting
        words += f" {list(module)}"
    if isinstance(module, torch.jit.ScriptModule):
        words += f" {module.inlined_graph}"
    return hashlib.sha256(words.encode()).hexdigest()


def _words(module: nn.Module) -> str:
    try:
        return module.extra_repr()
    except Exception:  # the user's own, and only for people
        return ""


def _settled(value: object) -> str | None:
    """The digest of a global that does not change by being used; None for one that may."""
    if isinstance(value, ModuleType):
        return value.__name__
    if callable(value):
        return name_of(value)
    if isinstance(value, str | bytes | int | float | complex | bool | None):
        return Contents().of(value)
    if isinstance(value, tuple) and all(_settled(each) is not None for each in value):
        return Contents().of(value)
    return None
