"""Settings: words that are checked before anything runs, whoever wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from secateur.registry import Registry

MOST_EPOCHS, LARGEST_COUNT = 1_000_000, (1 << 31) - 1
"""What is more than any training takes, and what a count of torch's can be."""


class Settings(BaseModel):
    """The base of every table of settings: nothing unknown or infinite, and it stays as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def look_up(context: Mapping[str, Any], paths: bool = False) -> Callable[[Registry, str], object]:
    """What the user wrote may be imported; what a run folder says is only looked up.

    A path in a run folder is a word that leads nowhere, which `paths` lets pass.
    """
    if context.get("trusted", True):
        return Registry.open
    if not paths:
        return Registry.check
    return lambda registry, name: None if ":" in name else registry.check(name)
