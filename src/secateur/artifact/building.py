"""Building: the dense network of a model file, by the caller's own function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from secateur import models
from secateur.artifact.anatomy import slots
from secateur.errors import ArtifactError, ModelError
from secateur.foundation.harmless import is_harmless
from secateur.registry import MODELS

if TYPE_CHECKING:
    from secateur.artifact.reader import Reader

Builder = str | Callable[..., object]
"""What builds a network: a function, or its path `package.module:function`."""

_OPERATION = "loading a model"
_LEFT_OPEN = inspect.Parameter.empty


def dense_net(file: Reader, builder: Builder | None) -> nn.Module:
    """The dense network of a file, with fresh weights.

    A function is given by name what it takes of what the file says: `shape`, `classes`, and the
    options that it was built with. Nothing that the file names is imported.

    Args:
        file: The model file.
        builder: The caller's function or its path; None for one of our reference nets.

    Raises:
        ArtifactError: There is no function, and the file names no reference net; or an option of
            the file may be a path.
        ModelError: The function fails, needs what the file does not say, or is a network.
    """
    if builder is None:
        return reference(file)
    function: Callable[..., object]
    if isinstance(builder, str):
        function = MODELS[builder] if ":" not in builder else models.find(builder)
    else:
        function = models.check_builder(builder, _OPERATION)
    offered = _offered(file, function)
    if offered:
        _check_room(file, function, offered)
    return models.build_for(function, offered, {})


def _check_room(file: Reader, function: Callable[..., object], offered: Mapping[str, Any]) -> None:
    """Refuse numbers of a file that would make a network far larger than the file, unbuilt."""
    try:
        with torch.device("meta"):
            sketch = function(**offered)
    except Exception:  # whatever it raises: not every function can be tried without memory
        return
    if isinstance(sketch, nn.Module):
        file.check_size(_bytes_of(sketch))


def _bytes_of(net: nn.Module) -> int:
    held = (slot.tensor for slot in slots(net).values())
    return sum(one.numel() * one.itemsize for one in held if not is_lazy(one))


def _offered(file: Reader, function: Callable[..., object]) -> dict[str, Any]:
    """What the file says that the function asks for."""
    takes = _parameters(function)
    source, manifest = file.manifest.source, file.manifest
    said: dict[str, Any] = {}
    if source is not None:
        said = {**source.options, **({"classes": source.classes} if source.classes else {})}
        said |= {"shape": tuple(source.shape)} if source.shape else {}
    needed = [name for name, one in takes.items() if _is_needed(one)]
    if "shape" in needed and manifest.input:
        said.setdefault("shape", tuple(manifest.input))
    every = any(one.kind is one.VAR_KEYWORD for one in takes.values())
    said = {name: value for name, value in said.items() if every or name in takes}
    for name, value in said.items():
        if name not in ("shape", "classes") and not is_harmless(value):
            raise ArtifactError(
                _OPERATION,
                f"the option {name!r:.60} of the builder",
                given="text of the file that may be a path",
                expected="numbers and plain words",
                remedy="Pass a function that sets it itself: lambda: build(..., option=...).",
            )
    if missing := [name for name in needed if name not in said]:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise ModelError(
            _OPERATION,
            "the builder",
            given=f"{name}, which needs {', '.join(missing)}",
            expected=f"one that takes what the file says: {', '.join(said) or 'nothing'}",
            remedy="Pass a function without arguments that calls it: lambda: "
            f"{name.rpartition('.')[2]}({', '.join(f'{each}=...' for each in missing)}).",
        )
    return said


def _parameters(function: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins do not say what they take
        return {}


def _is_needed(parameter: inspect.Parameter) -> bool:
    return parameter.default is _LEFT_OPEN and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def reference(file: Reader) -> nn.Module:
    """The dense reference net that a file names, with fresh weights.

    Raises:
        ArtifactError: It names none.
    """
    source = file.manifest.source
    sizes = [*source.shape, source.classes] if source else []
    if source is None or source.name not in MODELS or len(sizes) != 4 or not all(sizes):
        hint = f"made by {source.name[:100]!r}" if source else "without the name of its builder"
        raise ArtifactError(
            _OPERATION,
            str(file.container.path),
            given=hint,
            expected="one of our reference nets, or build_model",
            remedy="Pass build_model: the function that builds the dense net, as in the study "
            "file (at the command line, --model package.module:function).",
        )
    channels, height, width = source.shape
    make = partial(
        models.build, source.name, (channels, height, width), source.classes, **source.options
    )
    with torch.device("meta"):
        sketch = make()
    file.check_size(_bytes_of(sketch))
    return make()
