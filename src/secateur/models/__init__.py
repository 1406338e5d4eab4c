"""Reference nets, and the way to a user's own: `build` makes either from a name."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from secateur.errors import ModelError, SecateurError
from secateur.foundation.own_error import words_of
from secateur.foundation.own_path import did_you_mean
from secateur.models.shape import Shape
from secateur.registry import MODELS, current_folder_importable

__all__ = ["build", "check_builder", "find"]


def build(
    source: str | Callable[..., object], shape: Shape, classes: int, **options: object
) -> nn.Module:
    """Build a net by the name of a reference net, by a path, or with a function at hand.

    A path is `package.module:function`, imported with the current directory on `sys.path`. The
    function is called with `shape` and `classes` by keyword, each only if it takes an argument
    of that name, and with all `options`.

    Args:
        source: A name of `registry.MODELS`, a path, known by its colon, or the function itself.
        shape: Channels, height, width of one image.
        classes: How many classes the data have.
        **options: Further arguments of the builder.

    Returns:
        The net, on the device and in the mode its builder left it in.

    Raises:
        UnknownNameError: No reference net has this name.
        ModelError: There is no such module or function, it fails, or what it returns is not an
            `nn.Module`. What went wrong inside is the error's `__cause__`.

    Example:
        >>> build("lenet-300-100", (1, 28, 28), 10)[1]
        Linear(in_features=784, out_features=300, bias=True)
        >>> build("torch.nn:Flatten", (1, 28, 28), 10, start_dim=2)
        Flatten(start_dim=2, end_dim=-1)
    """
    return build_for(source, {"shape": shape, "classes": classes}, options)


def build_for(
    source: str | Callable[..., object], traits: Mapping[str, Any], options: Mapping[str, Any]
) -> nn.Module:
    """Build a net for data of any kind; see `build`.

    Args:
        source: As for `build`.
        traits: What the data say of themselves, each passed only if the builder takes it.
        options: Further arguments of the builder.

    Raises:
        UnknownNameError: As `build`.
        ModelError: As `build`.

    Example:
        >>> build_for("torch.nn:Linear", {"classes": 3}, {"in_features": 2, "out_features": 1})
        Linear(in_features=2, out_features=1, bias=True)
    """
    if not isinstance(source, str):
        name = getattr(source, "__qualname__", type(source).__qualname__)
        return _call(name, source, traits, options)
    if ":" not in source:
        return _call(source, MODELS[source], traits, options)
    with current_folder_importable():
        return _call(source, find(source), traits, options)


def find(path: str) -> Callable[..., object]:
    """Import what a path names, with the current directory on `sys.path`.

    Raises:
        ModelError: There is no such module, or no function of that name in it.
    """
    module_name, _, function_name = path.partition(":")
    if not module_name or not function_name:
        raise ModelError(
            "looking up a model",
            "the model",
            given=f"{path!r:.60}",
            expected="package.module:function, as in mynets:build, or a reference net",
            remedy="Name both the module and the function that builds the net.",
        )
    try:
        with current_folder_importable():
            module = importlib.import_module(module_name)
    except Exception as error:
        raise ModelError(
            f"importing {path}",
            f"the module {module_name!r}",
            given=f"not importable ({words_of(error)})",
            expected="a module found from the current directory or installed",
            remedy=f"{did_you_mean(path)}Write package.module:function, and start secateur in the "
            "module's directory or set PYTHONPATH to it.",
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ModelError(
            f"importing {path}",
            f"{function_name!r} in {module_name!r}",
            given="missing" if function is None else f"a {type(function).__name__}",
            expected="a function that returns an nn.Module",
            remedy=f"{_near(module, function_name) or did_you_mean(path)}Name the function that "
            "builds the net, after the colon.",
        )
    return function  # type: ignore[no-any-return]


def _near(module: object, name: str) -> str:
    there = [each for each, one in vars(module).items() if callable(one)]
    found = difflib.get_close_matches(name, there, n=1, cutoff=0.5)
    return f"Did you mean {found[0]!r}? " if found else ""


def check_builder(builder: object, operation: str) -> Callable[..., object]:
    """Return what can build a network; say of a network that it is one.

    Args:
        builder: What somebody handed over: a function, or a class.
        operation: What it is for, for the message.

    Raises:
        ModelError: It is an instance, or cannot be called.

    Example:
        >>> try:
        ...     check_builder(nn.Linear(1, 1), "loading a model")
        ... except ModelError as error:
        ...     print(error.given)
        a Linear that is built already
    """
    if callable(builder) and not isinstance(builder, nn.Module):
        return builder
    built = " that is built already" if isinstance(builder, nn.Module) else ""
    raise ModelError(
        operation,
        "the model",
        given=f"a {type(builder).__name__}{built}",
        expected="a function that builds the network, or the path of one",
        remedy="Pass the function or the class itself, without calling it: a new network is made.",
    )


def _call(
    name: str,
    function: Callable[..., object],
    traits: Mapping[str, Any],
    options: Mapping[str, Any],
) -> nn.Module:
    """Call a builder and make sure of what comes back."""
    try:
        net = function(**{**_accepted(function, traits), **options})
    except SecateurError:
        raise
    except Exception as error:
        raise ModelError(
            f"building {name}",
            "the builder",
            given=f"failing ({words_of(error)})",
            expected=f"an nn.Module for {_words(traits)}",
            remedy="Correct the function or the options given to it.",
        ) from error
    if not isinstance(net, nn.Module):
        raise ModelError(
            f"building {name}",
            "what the builder returns",
            given=f"a {type(net).__name__}",
            expected="an nn.Module",
            remedy="Return the net itself.",
        )
    return net


def _words(traits: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in traits.items()) or "these data"


def _accepted(function: Callable[..., object], offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the offered arguments that the function can take by keyword."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some builtins do not say what they take
        return {}
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(offered)
    return {
        name: value
        for name, value in offered.items()
        if name in parameters and parameters[name].kind is not inspect.Parameter.POSITIONAL_ONLY
    }
