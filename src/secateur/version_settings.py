"""The settings of a version: what is not set in a study file of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

DEFAULTS: Mapping[int, Mapping[str, Any]] = {
    1: {},
    2: {
        "protected": 0.1,
        "max_sparsity": {":last": 0.8},
        "training": {
            "retrain_learning_rate": "3x",
            "retrain_schedule": "one-cycle",
            "retrain_dropout": "scaled",
            "repair": ["least-squares"],
        },
    },
}
"""By a study's `version`: what its settings are where they are not set. Those of 1 are the classes'
own, so that a file without a version means what it always meant."""

OF_ADAM = ("retrain_learning_rate",)
"""Settings of a version that were measured with Adam alone: a rate that `sgd` trains with is often
the largest that it bears."""


def with_defaults(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """A study's settings, and those of its version where it has set nothing.

    Args:
        values: The settings, nested as in a study file; a wrong version has none.

    Example:
        >>> with_defaults({"version": 2, "protected": 0})["protected"]
        0
        >>> with_defaults({"version": 2})["max_sparsity"]
        {':last': 0.8}
    """
    version = values.get("version")
    known = DEFAULTS.get(version, {}) if isinstance(version, int) else {}
    if known and _optimizer(values.get("training")) == "sgd":
        training = {k: one for k, one in known["training"].items() if k not in OF_ADAM}
        known = {**known, "training": training}
    return _over(known, values)


def repair_of(version: int) -> Sequence[str]:
    """The repair that a version sets by itself: not every method has a moment for one.

    Example:
        >>> repair_of(2), repair_of(1)
        (['least-squares'], [])
    """
    found: Sequence[str] = DEFAULTS[version].get("training", {}).get("repair", [])
    return found


def guarded_patterns(version: int) -> Collection[str]:
    """The patterns of layers that a version names by itself: not every method has such layers.

    Example:
        >>> list(guarded_patterns(2)), list(guarded_patterns(1))
        ([':last'], [])
    """
    found: Mapping[str, float] = DEFAULTS[version].get("max_sparsity", {})
    return found.keys()


def _over(known: Mapping[str, Any], given: Mapping[Any, Any]) -> dict[Any, Any]:
    """Given settings over others, table by table."""
    both = {**known, **given}
    for name, table in known.items():
        own = given.get(name)
        if isinstance(own, BaseModel):
            own = own.model_dump(exclude_unset=True)
        if isinstance(table, Mapping) and isinstance(own, Mapping):
            both[name] = {**table, **own}
    return both


def _optimizer(training: object) -> object:
    """The optimizer that a table of training names."""
    if isinstance(training, Mapping):
        return training.get("optimizer")
    return getattr(training, "optimizer", None)
