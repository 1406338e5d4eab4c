"""The checkup of a run folder: every file, every row, the database; and what can be mended.

Looking changes nothing. Mending is done under the sweep's lock, keeps a damaged store beside the
new one, and leaves what has to be trained again to the next sweep.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from secateur.cli.checkup import Finding
from secateur.errors import StoreError
from secateur.study.checkpoint_sum import State, Verdict, judge, sum_of
from secateur.study.database import FILE, OtherFormatError, connect
from secateur.study.folder import (
    FILES,
    FOLDERS,
    PARTIAL,
    POINTS,
    check_kind,
    checkpoint_name,
)
from secateur.study.rebuild import rebuild
from secateur.study.run_lock import is_in_use, writable
from secateur.study.salvage import Salvage, read_salvage
from secateur.study.store import Store

_LISTED = 8
_PROBLEMS = 5


@dataclass(frozen=True)
class RunCheckup:
    """What was found in a run folder.

    Attributes:
        findings: As of the machine's checkup: a state of `broken` is damage.
        checkpoints: State of the file of each finished run, by the run's title.
    """

    findings: tuple[Finding, ...]
    checkpoints: Mapping[str, State]

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return all(each.state != "broken" for each in self.findings)

    @property
    def mendable(self) -> bool:
        """Whether there is something that `mend` mends."""
        return any(each.state != "ok" and "--repair" in each.remedy for each in self.findings)


def run_checkup(folder: Path) -> RunCheckup:
    """Look at everything in a run folder.

    Args:
        folder: The run folder.

    Raises:
        StoreError: There is no study in it.
    """
    if not os.path.exists(folder / FILE):
        Store(folder)  # which says so
    odd, left = list(_odd(folder)), _left_over(folder)
    findings = [
        Finding("folder", "sweep", "under way" if is_in_use(folder) else "none under way"),
        _one("folder", "kinds", odd, "files and folders of its own", _repair(folder)),
        _one(
            "folder",
            "left over",
            [path.name for path in left],
            "nothing",
            _repair(folder),
            state="missing",
        ),
    ]
    if any(name in odd for name in FILES):
        return RunCheckup(tuple(findings), {})
    try:
        saved = read_salvage(folder)
    except OtherFormatError:
        raise
    except StoreError as error:
        remedy = "No point can be saved from it; move this folder away and sweep again."
        return RunCheckup(
            (*findings, Finding("store", "database", error.given, "broken", remedy)), {}
        )
    verdicts = _verdicts(folder, saved)
    findings += [*_store(folder, saved), *_checkpoints(folder, verdicts)]
    return RunCheckup(tuple(findings), {title: each.state for title, each in verdicts.items()})


def mend(folder: Path) -> list[str]:
    """Mend what can be mended without training; returns what was done, a sentence each.

    Args:
        folder: The run folder.

    Raises:
        StoreError: It cannot be written, a sweep writes it, or nothing of its store can be read.
    """
    with writable(folder):
        done = [f"removed {_removed(path).name}" for path in _left_over(folder)]
        done += [f"moved {path.name} to {_aside(path).name}" for path in _odd_weights(folder)]
        saved = read_salvage(folder)
        if not saved.whole or _integrity(folder):
            kept = rebuild(folder, saved)
            done.append(f"{saved.told()}; the damaged store is kept as {kept.name}")
    with Store.writing(folder) as store:
        done += _note_sums(store)
    return done


def _removed(path: Path) -> Path:
    path.unlink()
    return path


def _aside(path: Path) -> Path:
    """Move something out of the way, under the first name that is free."""
    names = (path.with_name(f"{path.name}.aside-{number}") for number in count(1))
    free = next(name for name in names if not os.path.lexists(name))
    return path.rename(free)


def _note_sums(store: Store) -> Iterator[str]:
    """Note the sums of files that have none, as far as they can be those of their points."""
    from secateur.study.checkpoint_fit import why_no_fit  # it loads torch

    points = {point.digest: point for point in store.points()}
    noted = 0
    for digest, verdict in store.verdicts().items():
        path = store.checkpoint(digest)
        if verdict.state != "unverified":
            continue
        why = why_no_fit(path, points[digest]) if digest in points else ""
        if why:
            yield f"moved {path.name} to {_aside(path).name}: it is {why}"
        else:
            store.note_sum(digest, sum_of(path.read_bytes()))
            noted += 1
    if noted:
        yield f"noted the sums of {noted} checkpoints, which fit their rows"


def _repair(folder: Path) -> str:
    return f"secateur doctor {folder} --repair"


def _one(
    section: str, name: str, wrong: list[str], well: str, remedy: str, state: str = "broken"
) -> Finding:
    """A finding about a list of what is wrong, which is best empty."""
    if not wrong:
        return Finding(section, name, well)
    more = f" and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
    value = f"{', '.join(wrong[:_LISTED])}{more}"
    return Finding(section, name, value, "missing" if state == "missing" else "broken", remedy)


def _odd(folder: Path) -> Iterator[str]:
    """Names under which something else lies than has to: links, pipes, devices."""
    for names, is_folder in ((FILES, False), (FOLDERS, True)):
        for name in names:
            try:
                check_kind(folder / name, folder=is_folder)
            except StoreError:
                yield name
    yield from (f"{POINTS}/{path.name}" for path in _odd_weights(folder))


def _odd_weights(folder: Path) -> list[Path]:
    """What lies in a checkpoint's place and is no file."""
    points = folder / POINTS
    inside = points.glob("*.safetensors") if points.is_dir() and not points.is_symlink() else ()
    return sorted(path for path in inside if not path.is_file() or path.is_symlink())


def _left_over(folder: Path) -> list[Path]:
    """What killed writers left: no reader looks at it."""
    points = folder / POINTS
    inside = points.glob(f"*{PARTIAL}") if not points.is_symlink() else ()
    found = {*folder.glob(f".*{PARTIAL}"), *folder.glob(".*.new"), *inside}
    return sorted(path for path in found if path.is_symlink() or not path.is_dir())


def _store(folder: Path, saved: Salvage) -> Iterator[Finding]:
    problems = _integrity(folder)
    remedy = f"{_repair(folder)}: {saved.told()}."
    yield _one("store", "database", problems, "sound", remedy)
    journal = (folder / f"{FILE}-journal").exists()
    yield Finding(
        "store", "journal", "left over; the next opening plays it back" if journal else "none"
    )
    for table, rows in saved.rows.items():
        lost = saved.lost[table] + (["some that cannot be read"] if table in saved.torn else [])
        yield _one(
            "store", table, [f"damaged: {each}" for each in lost], f"{len(rows)} rows", remedy
        )


def _integrity(folder: Path) -> list[str]:
    try:
        with closing(connect(folder)) as db:
            rows = db.execute(f"PRAGMA integrity_check({_PROBLEMS})").fetchall()
    except sqlite3.Error as error:
        return [str(error)]
    told = [line for (text,) in rows for line in str(text).splitlines()]
    return [] if told == ["ok"] else told


def _verdicts(folder: Path, saved: Salvage) -> dict[str, Verdict]:
    found = {}
    for digest, _, title, _, status, _, result, _ in saved.rows["runs"]:
        if status == "done":
            path = folder / checkpoint_name(digest)
            # An edited study has two runs of one title.
            name = f"{title} ({digest[:8]})" if title in found else title
            found[name] = judge(path, str(json.loads(result).get("sha256", "")))
    return found


def _checkpoints(folder: Path, verdicts: Mapping[str, Verdict]) -> Iterator[Finding]:
    by_state: dict[State, list[str]] = {}
    for title, verdict in verdicts.items():
        named = f"{title} ({verdict.why})" if verdict.state == "damaged" else title
        by_state.setdefault(verdict.state, []).append(named)
    yield Finding("checkpoints", "as written", str(len(by_state.get("sound", []))))
    if unknown := by_state.get("unverified"):
        remedy = f"An older secateur noted no sums: {_repair(folder)} notes them."
        yield Finding("checkpoints", "not verified", str(len(unknown)), "missing", remedy)
    again = "Give the command of the sweep again: it makes these runs anew."
    for state in ("missing", "damaged"):
        if state in by_state:
            yield _one("checkpoints", state, by_state[state], "", again)
