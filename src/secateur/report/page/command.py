"""The command that the page copies: what `secateur export` has to be told of a study's network."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from secateur.foundation.harmless import is_harmless
from secateur.registry import MODELS

_FUNCTION = "MODULE:FUNCTION"
_STUDY = "STUDY.toml"


def builder_option(settings: Mapping[str, Any]) -> str:
    """What follows an export command, as a shell reads it, for a network of the user's own.

    A run folder's own word is never imported, so whoever exports says what builds the network.
    What the command line cannot find (a function of a script, or one inside of another) or does
    not take from a store (options that may be paths) is left for the user to write, in capitals.

    Args:
        settings: Of a store.

    Returns:
        Empty for a reference net; else it begins with a space.

    Example:
        >>> builder_option({"model": {"name": "conv4"}}), builder_option({"model": {"name": "a:b"}})
        ('', ' --model a:b')
    """
    name, options = _model(settings)
    if not all(map(is_harmless, options.values())):
        return f" --study {_STUDY}"
    if not name or name in MODELS:
        return ""
    return f" --model {shlex.quote(name) if _is_found(name) else _FUNCTION}"


def builder_note(settings: Mapping[str, Any]) -> str:
    """What the user has to write for the capitals of `builder_option`; empty without any."""
    option = builder_option(settings)
    if option.endswith(_STUDY):
        return f"For {_STUDY} write the study file that was swept: it holds the network's options."
    if option.endswith(_FUNCTION):
        return f"For {_FUNCTION} write where the function that builds your network can be imported."
    return ""


def _model(settings: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    model = settings.get("model")
    held = model if isinstance(model, Mapping) else {}
    options = held.get("options")
    return str(held.get("name", "")), options if isinstance(options, Mapping) else {}


def _is_found(name: str) -> bool:
    module, colon, function = name.partition(":")
    parts = [*module.split("."), *function.split(".")]
    return bool(colon) and module != "__main__" and all(part.isidentifier() for part in parts)
