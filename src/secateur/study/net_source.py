"""Net source: what builds a point's network and what that is run on, without the study's data."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from secateur.artifact.manifest import Source
from secateur.errors import StoreError, UsageError
from secateur.foundation.harmless import is_harmless
from secateur.foundation.own_path import is_path
from secateur.registry import DATASETS, MODELS
from secateur.spec import StudySpec
from secateur.study.decoding import damaged
from secateur.study.setting_words import difference
from secateur.study.store import Store
from secateur.study.stored_example import FACT, ROWS, example_of

if TYPE_CHECKING:
    from secateur.data.data import Data
    from secateur.foundation.run_example import Inputs

OPERATION = "exporting a point"
_LARGEST = 1 << 16
_AXES = 8
_NUMBERS = 1 << 24


def source_of(store: Store, study: StudySpec, model: str | None, own: StudySpec | None) -> Source:
    """What builds a point's network, by the user's word or by that of our registry.

    Args:
        store: Of the run folder.
        study: What the store says that was swept: data, and never a reason to run anything.
        model: The builder that the user names.
        own: The user's own study file.

    Raises:
        UsageError: The store names a function, and the user none; or the study file is of
            another network.
        StoreError: The store does not say what its data were like, or options of a builder are
            no plain numbers and words.
    """
    if own is not None:
        _check_same(store, study, own)
    name = model or (own or study).model.name
    if model is None and own is None and name not in MODELS:
        raise UsageError(
            OPERATION,
            "the builder of the network",
            given=f"{name!r}, by the word of {store.folder} alone",
            expected="your own word for it: what a run folder names is never imported",
            remedy=f"Pass --model {name if is_path(name) else 'package.module:function'} if it is "
            "yours, or the study file with --study (in Python, the function).",
        )
    traits = _traits_of(store, own or study, own)
    if name in MODELS and (len(traits.get("shape", ())) != 3 or not traits.get("classes")):
        raise damaged("the note of its data", "of no images and classes, for a reference net")
    options = study.model.options if own is None else own.model.options
    if own is None and not all(is_harmless(value) for value in options.values()):
        raise StoreError(
            OPERATION,
            "an option of the network",
            given="text of the run folder that may be a path",
            expected="numbers and plain words",
            remedy="Pass the study file that was swept with --study.",
        )
    shape, classes = list(traits.get("shape", ())), traits.get("classes", 0)
    return Source(name=name, shape=shape, classes=classes, options=options)


def _check_same(store: Store, study: StudySpec, own: StudySpec) -> None:
    for what in ("model", "data"):
        asked, held = (getattr(one, what).model_dump(mode="json") for one in (own, study))
        if asked != held:
            given, expected = difference(asked, held)
            raise UsageError(
                OPERATION,
                "--study",
                given=f"a study of the {what} {given}",
                expected=f"one of {expected}, as {store.folder} holds it",
                remedy="Pass the study file that was swept.",
            )


def _traits_of(store: Store, study: StudySpec, own: StudySpec | None) -> dict[str, Any]:
    """All that a network is built for: by the store, else by the user's own data."""
    facts = store.value("data")
    if facts is None and not study.data.options and study.data.name in DATASETS:
        # An older secateur did not note it; without options nothing of the store is a path.
        import secateur.data

        data: Data = secateur.data.load(study.data.name)
        return data.traits()
    held = facts if isinstance(facts, dict) else {}
    shape, classes = held.get("shape"), held.get("classes", 0)
    sizes = shape if isinstance(shape, list) else []
    whole = all(type(size) is int and 0 < size <= _LARGEST for size in sizes)
    whole = whole and type(classes) is int and 0 <= classes <= _LARGEST
    counted = {"classes": classes} if classes else {}
    if 0 < len(sizes) <= _AXES and whole and prod(sizes) <= _LARGEST**2:
        return {"shape": tuple(sizes), **counted}
    # Several inputs have no one shape; the example says what they are like.
    if shape is None and whole and store.value(FACT) is not None:
        return counted
    if own is not None:
        return _data_of(own).traits()
    raise (
        _too_old(store)
        if shape is None
        else damaged("the note of its data", "without a shape that examples can have")
    )


def _too_old(store: Store) -> StoreError:
    return StoreError(
        OPERATION,
        str(store.folder),
        given="without an example of its data: an older secateur wrote it, or it is of a kind "
        "that a store cannot hold",
        expected="tensors in tuples, lists and maps",
        remedy="Give the same `secateur sweep` again, which trains nothing anew and notes it; or "
        "pass the study file with --study, whose data are read.",
    )


def _data_of(study: StudySpec) -> Data:
    """The data of the user's own study file."""
    import secateur.data

    found: Data = secateur.data.load(study.data.name, **study.data.options)
    return found


def example_for(
    store: Store, source: Source, own: StudySpec | None
) -> tuple[Inputs, dict[str, Any]]:
    """What a network is run on, and what it is built for: by the store, else by the user's data.

    Images are drawn; so are other inputs of which the store holds an example.

    Args:
        store: Of the run folder.
        source: What builds the network.
        own: The user's own study file.

    Raises:
        StoreError: The store holds no example, and there is no study file.
    """
    import torch

    shape = tuple(source.shape)
    traits: dict[str, Any] = {"classes": source.classes} if source.classes else {}
    if shape:
        traits["shape"] = shape
    images = len(shape) == 3 and source.classes > 0
    held = None if images else store.value(FACT)
    if held is not None:
        return example_of(held), traits
    if own is not None and not images:
        data = _data_of(own)
        return data.example(ROWS), data.traits()
    if not shape:
        raise _too_old(store)
    if prod(shape) > _NUMBERS:
        raise StoreError(
            OPERATION,
            str(store.folder),
            given=f"with data of the shape {list(shape)}",
            expected=f"at most {_NUMBERS:,} numbers an example",
            remedy="Pass the study file with --study, whose data are read.",
        )
    return torch.randn(ROWS, *shape, generator=torch.Generator().manual_seed(0)), traits
