"""Whether a run folder may go on with a study: no other study's table is replaced unasked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from secateur.data.data import Data
from secateur.errors import StoreError
from secateur.point import Share
from secateur.spec import GIVEN
from secateur.study.setting_words import difference, name_in
from secateur.study.store import Store

if TYPE_CHECKING:
    from secateur.study.job import Setup
    from secateur.study.plan import Run
    from secateur.training.loop import Loop

_LOG = logging.getLogger("secateur")


def facts_of(
    data: Data, fingerprint: str, loop: Loop, baseline: float | None = None
) -> dict[str, Any]:
    """What a store keeps of the data: enough to rebuild a net, and to know a guess from a skill.

    Args:
        data: The data of the study.
        fingerprint: What names them.
        loop: Its task knows what a guess scores.
        baseline: What it scores, where the study says so.

    Returns:
        `fingerprint`, `version` where they are not named by their contents, `shape` and `classes`
        where they have them, and where it is known `val_majority`, how many validation examples
        are of the most frequent class, or `val_baseline`, what the best guess scores.
    """
    facts: dict[str, Any] = {"fingerprint": fingerprint}
    if data.version:
        facts["version"] = data.version
    traits = data.traits()
    if "shape" in traits:
        facts["shape"] = list(traits["shape"])
    if "classes" in traits:
        facts["classes"] = traits["classes"]
    guess: float | Share | None = baseline
    if baseline is None and not loop.own_qualities:
        guess = loop.task.baseline(data)
    if isinstance(guess, Share):
        facts["val_majority"] = guess.part
    elif guess is not None:
        facts["val_baseline"] = guess
    return facts


def check_same_study(store: Store, setup: Setup, runs: Iterable[Run]) -> None:
    """Refuse to put a study's table in place of another's.

    A study that shares a finished run with what the folder holds goes on with it, whatever else
    was changed. One that shares none, of the same name, model and data, is an edited one: its
    runs are new, and the earlier points stay in the store. All others are refused.

    Args:
        store: Open for writing.
        setup: The study.
        runs: Its plan.

    Raises:
        StoreError: The folder holds points of another model, of other data or of another study.
    """
    finished = store.finished()
    held = store.settings
    measured = len(store.points()) if held else 0
    if not measured or finished & {run.digest for run in runs}:
        return
    differences = list(_differences(held, store.value("data"), setup))
    if differences:
        raise StoreError(
            "beginning a study",
            str(store.folder),
            given=f"a folder with {measured} points of another one ({'; '.join(differences)})",
            expected="a new folder, or the study that it holds",
            remedy="Name another folder with --out (in Python, out=...), or move this one away.",
        )
    _LOG.warning(
        "%s: the network, the data or the training were changed since: all runs are made anew, "
        "and %d points of the earlier plan stay in the store, in no table.",
        store.folder,
        measured,
    )


def _differences(held: Mapping[str, Any], facts: Any, setup: Setup) -> Iterable[str]:
    asked = setup.study.model_dump(mode="json")
    for name in ("name", "model", "data"):
        old, new = held.get(name), asked[name]
        if old != new and not (name == "model" and _is_own(old) and _is_own(new)):
            there, wanted = difference(old, new)
            yield f"its {'study' if name == 'name' else name} is {there}, not {wanted}"
    both_given = name_in(held.get("data")) == repr(GIVEN) == name_in(asked["data"])
    known = facts.get("fingerprint") if isinstance(facts, Mapping) else None
    if both_given and known is not None and known != setup.fingerprint:
        yield "the data given in Python are other ones"


def _is_own(model: object) -> bool:
    """A function's name is not what its network is: its content has named the runs already."""
    return isinstance(model, Mapping) and ":" in str(model.get("name"))
