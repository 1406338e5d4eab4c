"""The code of methods, metrics and loops that secateur does not bring: it names their runs.

An edited criterion, or another version of the package that it comes from, makes new runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from secateur.pruning.method import Method, parts_of
from secateur.pruning.repair import Repair
from secateur.pruning.statistics import collected
from secateur.registry import (
    ALLOCATIONS,
    COLLECTORS,
    CRITERIA,
    METHODS,
    METRICS,
    REPAIRS,
    TASKS,
    Registry,
)
from secateur.spec import GIVEN, StudySpec
from secateur.study.content import Contents
from secateur.study.method_settings import settings_for, training_for
from secateur.study.module_text import files
from secateur.training.loop import Loop


def method_codes(study: StudySpec) -> dict[str, str]:
    """Method or metric -> SHA-256 of its code, and of all that its cuts and repairs go by.

    Methods that are secateur's own in all their parts are left out: the version of secateur is
    no part of what names a run.
    """
    names = {*study.methods, *(getattr(one, "like", "") for one in study.methods.values())} - {""}
    found = {name: "".join(_parts(study, name)) for name in sorted(names)}
    found |= {name: "".join(_of(METRICS, name)) for name in study.metrics}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items() if text}


def loop_codes(study: StudySpec, loop: Loop) -> dict[str, str]:
    """Names of `plan.LOOP` -> SHA-256 of the code of a task or a function of the user's own."""
    held: dict[str, Any] = {"train:": loop.train, "evaluate:": loop.evaluate}
    if study.task.name == GIVEN or TASKS.origin(study.task.name) != "secateur":
        held["task:"] = loop.task
    found = [(name, one) for name, one in held.items() if one is not None]
    texts = {name: "".join(_content("", one, _module_of(one))) for name, one in found}
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}


def _content(word: str, what: Any, *modules: str) -> Iterator[str]:
    """What an object is made of, and the text of its modules and of all that they import."""
    contents = Contents()
    yield f"{word}{contents.of(what)}\n"
    for part, digest in sorted(files({*contents.modules, *modules} - {""}).items()):
        yield f"{part} {digest}\n"


def _module_of(entry: Any) -> str:
    return str(getattr(entry, "__module__", type(entry).__module__))


def _parts(study: StudySpec, name: str) -> Iterator[str]:
    yield from _of(METHODS, name)
    parts = parts_of(METHODS[name], settings_for(study, name))
    for part in parts:
        yield from _of(CRITERIA, part.criterion)
    for allocation in dict.fromkeys(part.allocation for part in parts if part.by_layer):
        yield from _of(ALLOCATIONS, allocation)
    for statistic in collected(parts):
        yield from _of(COLLECTORS, statistic)
    for kind in training_for(study, name).repair if parts else ():
        yield from _of(REPAIRS, kind)


def _of(registry: Registry, name: str) -> Iterator[str]:
    origin = registry.origin(name)
    if origin == "secateur":
        return
    entry: Any = registry[name]
    # A method is words; its class of options is in the text of its module.
    what = _recipe(entry) if isinstance(entry, Method) else entry
    what = entry.run if isinstance(entry, Repair) else what
    own = getattr(entry, "__module__", "")
    yield from _content(f"{registry.kind} ", what, registry.module(name), own)
    try:
        yield f"{origin} {version(origin)}\n"
    except PackageNotFoundError:
        return


def _recipe(method: Method) -> tuple[object, ...]:
    more = (method.rewinds,) if method.rewinds else ()
    return (method.parts, method.schedule, method.start, method.control, method.prepare, *more)
