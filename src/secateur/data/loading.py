"""A data set by its name and options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

from secateur.data.data import Data
from secateur.errors import DataError, SecateurError
from secateur.foundation.expectation import expectation
from secateur.foundation.own_error import words_of
from secateur.registry import DATASETS


def load(name: str, **options: object) -> Any:
    """Load a data set that the registry knows.

    Args:
        name: `"fashion-mini"`, `"shapes"`, ...: one of `secateur.registry.DATASETS`.
        **options: What that loader takes, by name.

    Returns:
        Data of the loader's kind; `ImageData` of those that secateur brings.

    Raises:
        UnknownNameError: No data set has this name.
        DataError: The loader takes no such option or needs one more, or the data are missing or
            damaged.

    Example:
        >>> load("shapes", train=50, val=10, test=10).shape
        (3, 25, 25)
        >>> load("shapes", trian=50)
        Traceback (most recent call last):
        ...
        secateur.errors.DataError: loading shapes: the option 'trian' is unknown, expected one of \
train, val, test, size, classes, difficulty, seed, flip, crop. Correct the option.
    """
    loader = DATASETS[name]
    parameters = _parameters(loader)
    _check_names(name, parameters, options)
    _check_types(name, parameters, options)
    data = _loaded(name, loader, options)
    if not isinstance(data, Data):
        raise DataError(
            f"loading {name}",
            "what the loader returned",
            given=f"of type {type(data).__name__}",
            expected="data with three splits",
            remedy="Return secateur.data.from_tensors(...) or image_data(...) from it.",
        )
    return data


def _loaded(name: str, loader: Callable[..., object], options: Mapping[str, object]) -> object:
    """What a loader returns; what it raises, be it of the user's own, as one message."""
    try:
        return loader(**options)
    except SecateurError:
        raise
    except Exception as error:
        raise DataError(
            f"loading {name}",
            "the loader",
            given=f"failing ({words_of(error, 200)})",
            expected="data with three splits",
            remedy="Correct the function or the options given to it.",
        ) from error


def _parameters(loader: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(loader, eval_str=True).parameters
    except NameError:  # a user's loader that imports names for the type checker only
        return inspect.signature(loader).parameters


def _check_names(
    name: str, parameters: Mapping[str, inspect.Parameter], options: Mapping[str, object]
) -> None:
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for option in options:
        if option not in parameters and not takes_any:
            known = ", ".join(parameters) or "none: it takes no options"
            raise _refusal(name, option, "unknown", f"one of {known}")
    for option, one in parameters.items():
        variable = one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        if one.default is one.empty and not variable and option not in options:
            raise _refusal(name, option, "missing", "a value")


def _check_types(
    name: str, parameters: Mapping[str, inspect.Parameter], options: Mapping[str, object]
) -> None:
    """Options come from files and command lines, where `"10"` is easily written for `10`."""
    for option, value in options.items():
        annotation = parameters[option].annotation if option in parameters else object
        if annotation is inspect.Parameter.empty or isinstance(annotation, str):
            continue
        try:
            TypeAdapter(annotation).validate_python(value, strict=True)
        except ValidationError as error:
            raise _refusal(name, option, repr(value), expectation(error.errors()[0])) from error
        except PydanticSchemaGenerationError:
            continue  # a type of the user's own, which only the loader can judge


def _refusal(name: str, option: str, given: str, expected: str) -> DataError:
    return DataError(
        f"loading {name}",
        f"the option {option!r}",
        given=given,
        expected=expected,
        remedy="Correct the option.",
    )
