"""Attribute search: which of the modules' own numbers have to follow a cut, found by playing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from secateur.channels.labels.events import Attribute
from secateur.channels.tracing.cut import Cut
from secateur.channels.tracing.dry_run import dry_run, skeleton
from secateur.channels.tracing.module_numbers import (
    Numbers,
    candidates,
    numbers_of,
    set_numbers,
)
from secateur.channels.tracing.state import State
from secateur.channels.tracing.tape import Tape
from secateur.foundation.run_example import Inputs, arguments


def dry_run_cut(
    model: nn.Module, example_inputs: Inputs, state: State, cut: Cut
) -> tuple[Numbers, list[int]]:
    """Play one cut, learning on the way which attributes count channels.

    Returns:
        What the modules' own numbers become, and the steps that do not follow the cut whatever
        number is changed.
    """
    args, kwargs = arguments(example_inputs)
    numbers = numbers_of(model, cut, state.attributes)
    first = skeleton(model, cut)
    set_numbers(first, numbers)
    failures = _dry_run(first, state, cut, args, kwargs, used_up=True)
    if not failures:
        return numbers, failures
    small = skeleton(model, cut)
    set_numbers(small, numbers)
    tried: set[tuple[object, ...]] = set()
    while failures:
        trials = _trials(small, cut, failures, tried) or _together(small, cut, failures, tried)
        if not trials:
            break
        before = {one: _read(small, one) for one in trials}
        set_numbers(small, numbers_of(small, cut, trials))
        left = _dry_run(small, state, cut, args, kwargs)
        useless = [
            one
            for one in trials
            if _failing(state.tape, left, one.path) >= _failing(state.tape, failures, one.path)
        ]
        for one in useless:
            setattr(small.get_submodule(one.path), one.name, before[one])
        useful = [one for one in trials if one not in useless]
        state.attributes += useful
        numbers |= {(one.path, one.name): _read(small, one) for one in useful}
        if useful:
            failures = _dry_run(small, state, cut, args, kwargs) if useless else left
    return numbers, failures


Key = tuple[object, ...]


def _trials(
    small: nn.Module, cut: Cut, failures: Sequence[int], tried: set[Key]
) -> list[Attribute]:
    """One attribute a module that was not tried yet."""
    trials: dict[str, Attribute] = {}
    for number in failures:
        for one in candidates(small, cut, number):
            if (one.path, one.name, one.item, cut.count(one.labels)) not in tried:
                trials.setdefault(one.path, one)
    tried |= {(one.path, one.name, one.item, cut.count(one.labels)) for one in trials.values()}
    return list(trials.values())


def _together(
    small: nn.Module, cut: Cut, failures: Sequence[int], tried: set[Key]
) -> list[Attribute]:
    """For a step with several lengths (`split(x, [n, m])`) one attribute each, all at once.

    They are numbers of their own, or the items of one list. Else one for each failing step of a
    module: where heads of keys are repeated for queries, neither number follows alone.
    """
    for number in failures:
        sets: dict[str, dict[int, Attribute]] = {}
        for one in candidates(small, cut, number):
            own = sets.setdefault("" if one.item is None else f"{one.path}.{one.name}", {})
            used = {(other.path, other.name, other.item) for other in own.values()}
            if (one.path, one.name, one.item) not in used:
                own.setdefault(id(one.labels), one)
        for name, found in sets.items():
            key = ("together", number, name)
            if len(found) > 1 and key not in tried:
                tried.add(key)
                return list(found.values())
    return _each_step(small, cut, failures, tried)


def _each_step(
    small: nn.Module, cut: Cut, failures: Sequence[int], tried: set[Key]
) -> list[Attribute]:
    """Of one module's failing steps an attribute each, no attribute twice."""
    modules: dict[str, dict[tuple[str, int | None], Attribute]] = {}
    for number in failures:
        for one in candidates(small, cut, number):
            own = modules.setdefault(one.path, {})
            if (one.name, one.item) not in own:
                own[one.name, one.item] = one
                break
    for path, found in modules.items():
        key = ("each step", path)
        if len(found) > 1 and key not in tried:
            tried.add(key)
            return list(found.values())
    return []


def _dry_run(
    small: nn.Module, state: State, cut: Cut, args: Any, kwargs: Any, *, used_up: bool = False
) -> list[int]:
    failures = dry_run(small, cut, args, kwargs, used_up=used_up)
    return [number for number in failures if number not in (state.unplayable or ())]


def unplayable(model: nn.Module, example_inputs: Inputs, state: State) -> frozenset[int]:
    """The steps that fail a dry run in which nothing is cut."""
    nothing = Cut(state.tape, state.classes, np.zeros_like(state.classes.pinned))
    args, kwargs = arguments(example_inputs)
    return frozenset(dry_run(skeleton(model, nothing), nothing, args, kwargs, used_up=True))


def _read(model: nn.Module, attribute: Attribute) -> object:
    value = getattr(model.get_submodule(attribute.path), attribute.name)
    return list(value) if type(value) is list else value


def _failing(tape: Tape, failures: Sequence[int], path: str) -> int:
    prefix = f"{path}." if path else ""
    return sum(
        tape.steps[number].path == path or tape.steps[number].path.startswith(prefix)
        for number in failures
    )
