"""The threads of a study's runs: chosen once, for results depend on them in their last bits.

They do not depend on the number of workers, so that the bits do not either; nor on how busy the
machine is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from secateur.errors import StoreError, UsageError
from secateur.foundation.threads import cores
from secateur.study.plan import BASE, POINT, Run
from secateur.study.store import Store

_FACT = "threads"
# Stores have this word for every preparatory run since there was one such method.
_PREPARATION = "slim"
_KINDS = (BASE, _PREPARATION, POINT)
_MOST = 4096


def keep_threads(
    store: Store,
    each: int,
    asked: int | None,
    seeds: int,
    shared: int | None = None,
    joining: bool = False,
) -> Mapping[str, int]:
    """Threads by the kind of a run: those that the study began with, or those chosen now.

    Args:
        store: Open for writing; keeps what is chosen.
        each: For one worker.
        asked: By the user, for every run; None to choose.
        seeds: While their base nets train there is nothing else to do: they share all the cores.
        shared: Those cores; this machine's if None.
        joining: Whether other sweeps go by what is kept, even if no run has finished.

    Raises:
        UsageError: The study has runs with another number than was asked for.
        StoreError: What the store has kept is no number of threads.
    """
    base = asked or max(each, (shared or cores()) // seeds)
    chosen = {BASE: base, _PREPARATION: asked or each, POINT: asked or each}
    kept = _kept(store)
    if kept and (joining or store.finished()):
        if asked and kept != chosen:
            raise UsageError(
                "running a study",
                "the number of threads",
                given=str(asked),
                expected=f"{_words(kept)}, as the other runs of {store.folder} have",
                remedy="Leave it out, or name another folder with --out: results depend on it in "
                "their last bits.",
            )
        return kept
    if kept and not asked:
        return kept
    store.write_fact(_FACT, json.dumps(chosen))
    return chosen


def kind_of(run: Run) -> str:
    """What the threads of a run are kept under."""
    if run.is_base:
        return BASE
    return _PREPARATION if run.preparing else POINT


def _kept(store: Store) -> dict[str, int]:
    kept = store.value(_FACT)
    if kept is None:
        return {}
    fits = isinstance(kept, dict) and set(kept) == set(_KINDS)
    if not fits or not all(type(n) is int and 1 <= n <= _MOST for n in kept.values()):
        raise StoreError(
            "running a study",
            f"the threads that {store.folder} has kept",
            given=f"{kept!r:.80}",
            expected=f"a number of threads for each of {', '.join(_KINDS)}",
            remedy="The store is damaged or no study's: name another folder with --out.",
        )
    return {kind: kept[kind] for kind in _KINDS}


def _words(kept: Mapping[str, int]) -> str:
    if len(set(kept.values())) == 1:
        return str(kept["base"])
    return f"{kept['base']} for the base nets and {kept['point']} for the others"
