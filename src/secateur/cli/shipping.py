"""Shipping: the point that a command takes out of a study, by name or as the pick under a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from secateur.cli.names import models
from secateur.cli.picking import picked
from secateur.errors import UsageError
from secateur.point import Point
from secateur.study.int8_points import shown_points
from secateur.study.net_source import OPERATION
from secateur.study.pick import Pick, shipped_point
from secateur.study.point_names import chosen_point, matching
from secateur.study.store import Store

Builder = Annotated[
    str | None,
    typer.Option(
        help="Your own net: package.module:function. Nothing that a run folder names is run.",
        autocompletion=models,
    ),
]
OwnStudy = Annotated[
    str | None, typer.Option(help="Or the study file that was swept, for the net's options.")
]

_BOUNDS = ("min_accuracy", "min_quality", "within", "at_least", "at_most")


def shipped(
    store: Store, name: str | None, bounds: Mapping[str, Any], x: str = "sparsity"
) -> tuple[Point, Pick | None]:
    """The point that is meant, and the pick that it is of; None where it was named.

    Args:
        store: Of the run folder.
        name: The point's name, if it was given.
        bounds: What `picked` takes, by the word; what is left out was not given.
        x: The axis beside the score that chooses.

    Raises:
        UsageError: Neither or both were said, there is no such point, or no level meets the bounds.
    """
    there = shown_points(store)
    asked: dict[str, Any] = {word: bounds.get(word) for word in _BOUNDS}
    found = picked(there, x=x, **asked)
    if (name is None) == (found is None):
        raise UsageError(
            OPERATION,
            "what to export",
            given="not said" if found is None else "said twice, by --point and by a bound",
            expected="a bound for a pick, or a point",
            remedy=f"For example --within 0.02, or --point; `secateur frontier {store.folder}` "
            "shows what there is.",
        )
    if name is not None:
        earlier = () if matching(there, name) else store.earlier_points()
        return chosen_point((*there, *earlier), name, store.folder, others=len(earlier)), None
    if found is not None and found.met:
        return shipped_point(found), found
    raise UsageError(
        OPERATION,
        "the pick",
        given=f"none: {str(found).rstrip('.')}",
        expected="a level that meets what is asked for",
        remedy="Ask for less, or name a point with --point.",
    )
