"""Decoding: what a run folder holds as text, checked, as values.

Every word is made printable here, once, so that nothing which is shown of a store can move a
terminal's cursor or turn a line of text around; every number is finite and of a size that the
rest can calculate with. Whoever wrote the store: what does not fit is an error that names it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from secateur.errors import StoreError
from secateur.foundation.html import plain
from secateur.foundation.level import Sparsity, is_pattern
from secateur.foundation.target import COSTS, Target
from secateur.point import Latency, Measured, Point, Reached, Score, Share, with_scores
from secateur.study.seal import is_broken

_LONGEST = 4096
_KINDS: dict[str, type[str] | type[dict[str, Any]]] = {
    "name": str,
    **dict.fromkeys(("model", "data", "training", "methods"), dict),
}
_JSON: dict[type, str] = {str: "text", dict: "object"}
_LARGEST = 2**63 - 1
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_SUM = re.compile(r"[0-9a-f]{64}")
_LONGEST_LABEL = 80
_COUNTS = (
    "step", "seed", "parameters", "nonzero", "masked_macs", "nonzero_macs", "compact_parameters",
    "macs",
)  # fmt: skip


def read_json(text: str, finite: bool = True) -> Any:
    r"""JSON with every word printable and every number one that can be calculated with.

    Raises:
        ValueError: It is no JSON, nested too deeply, or holds a number that is too large or,
            where it has to be, not finite.

    Example:
        >>> read_json('{"a\\u001b[2J": [1, "b\\nc"]}')
        {'a�[2J': [1, 'b c']}
    """
    try:
        return _clean(json.loads(text), finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _clean(value: Any, finite: bool) -> Any:
    if isinstance(value, str):
        return plain(value, _LONGEST)
    if isinstance(value, list):
        return [_clean(each, finite) for each in value]
    if isinstance(value, dict):
        return {plain(name, _LONGEST): _clean(each, finite) for name, each in value.items()}
    if finite and isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number that is not finite")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("a number beyond 64 bits")
    return value


def decode_settings(text: str | None) -> dict[str, Any]:
    """The study's settings.

    Raises:
        StoreError: They are no JSON object.
    """
    found = _read("its settings", text or "{}")
    if not isinstance(found, dict):
        raise damaged("its settings", "no JSON object")
    for name, kind in _KINDS.items():
        if not isinstance(found.get(name, kind()), kind):
            raise damaged("its settings", f"wrong in {name!r}, which is no {_JSON[kind]}")
    if not all(isinstance(options, dict) for options in found.get("methods", {}).values()):
        raise damaged("its settings", "wrong in 'methods', of which one is no object")
    return found


def decode_point(
    digest: str, result: str, measured: str | None, checkpoint: str, guess: Guess | None = None
) -> Point:
    """A measured point.

    Args:
        digest: The run's, by which its row is found.
        result: The JSON that the run left.
        measured: The JSON of its latencies; None where it was not timed.
        checkpoint: Where its weights lie, by its digest and not by its own word.
        guess: What an answer that ignores its input scores.

    Raises:
        StoreError: Something in it is missing, of another type, or cannot be.
    """
    what = f"the run {digest[:12]}"
    _check_seal(what, result)
    # A loss may have been none.
    values = _read(what, result, finite=False)
    point = values.get("point") if isinstance(values, dict) else None
    if not isinstance(point, dict):
        raise damaged(what, "without a point")
    point = _with_scores(what, point)
    fields = {**point, "latency": _read(f"the latency of {digest[:12]}", measured or "[]")}
    try:
        made = _points().validate_json(json.dumps(fields), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise damaged(what, f"wrong in {plain(place, 80)!r} ({first['msg']})") from None
    _check_point(what, digest, made)
    guess = guess or Guess()
    if guess.majority is not None and guess.majority > (made.val.total or guess.majority):
        raise damaged(what, "with fewer validation images than its data have of one class")
    curve = tuple(point.get("curve", ()))
    return replace(
        made,
        training_seconds=None,
        checkpoint=checkpoint,
        curve=curve,
        majority=guess.majority,
        baseline=guess.baseline,
    )


def _with_scores(what: str, point: dict[str, Any]) -> dict[str, Any]:
    try:
        return with_scores(point)
    except (TypeError, KeyError, ZeroDivisionError):
        raise damaged(what, "with a share that is none") from None


@cache
def _points() -> TypeAdapter[Point]:
    return TypeAdapter(Point)


def _check_point(what: str, digest: str, point: Point) -> None:
    shares = (point.sparsity, point.conv_sparsity, point.model_sparsity)
    counted = (getattr(point, name) for name in _COUNTS)
    counts = (*counted, *point.epochs.parts, point.artifact_bytes or 0)
    if point.digest != digest:
        raise damaged(what, f"of another digest, {point.digest[:12]!r}")
    if not all(_is_share(share) for share in shares):
        raise damaged(what, "with a share of more than all")
    if not all(_is_score(one) for one in point.every_score):
        raise damaged(what, "with a score that is none")
    if {one.split for one in point.scores} != {"val", "test"}:
        raise damaged(what, "without a score on each split")
    if len({one.name for one in point.every_score}) < len(point.every_score):
        raise damaged(what, "with two scores of one name")
    if any(one.split != "before" for one in point.before or ()):
        raise damaged(what, "with a score before retraining that is of another split")
    if not all(_is_measured(one) for one in point.metrics):
        raise damaged(what, "with a metric that is none")
    if min(counts) < 0 or not 0 <= point.seconds < math.inf:
        raise damaged(what, "with a count below zero")
    if not point.method or not all(map(_is_sparsity, point.level)):
        raise damaged(what, "without a method, or with a level outside 0 to 1")
    if point.reached is not None and not _is_reached(point.reached):
        raise damaged(what, "with a target that was reached by no number")
    if not all(_is_timing(each) for each in point.latency):
        raise damaged(what, "with a latency that is no time")


def _is_reached(one: Reached) -> bool:
    numbers = (one.limit, one.cost, one.q1, one.q3, one.dense)
    return 0 <= one.sparsity < 1 and all(0 <= number < math.inf for number in numbers)


def _is_sparsity(part: Sparsity) -> bool:
    if isinstance(part, Target):
        return part.cost in COSTS and 0 < part.limit < math.inf and part.batch >= 1
    if isinstance(part, float):
        return 0 <= part < 1
    return all(is_pattern(pattern) and 0 <= share < 1 for pattern, share in part)


def _is_share(share: Share) -> bool:
    return 0 <= share.part <= share.total


def _is_score(score: Score) -> bool:
    """A word, a finite number, and of a share integers that give it."""
    if not _WORD.fullmatch(score.metric) or not math.isfinite(score.value):
        return False
    if not _is_labelled(score):
        return False
    if score.part is None and score.total is None:
        return True
    share = score.share
    return (
        share is not None and share.total >= 1 and _is_share(share) and share.value == score.value
    )


def _is_measured(one: Measured) -> bool:
    return bool(one.name) and math.isfinite(one.value) and _is_labelled(one)


def _is_labelled(one: Score | Measured) -> bool:
    """Whether it can stand on an axis and over a column."""
    return max(map(len, (one.label, one.unit))) <= _LONGEST_LABEL


def _is_timing(one: Latency) -> bool:
    times = (one.median, one.q1, one.q3)
    return min(times) > 0 and min(one.n, one.batch, one.threads) >= 1


@dataclass(frozen=True)
class Guess:
    """What an answer that ignores its input scores on the validation split.

    Attributes:
        majority: How many examples are of the most frequent class.
        baseline: The first metric of the best such answer, of another task.
    """

    majority: int | None = None
    baseline: float | None = None


def decode_guess(text: str | None) -> Guess:
    """What a guess scores, of the note of a study's data.

    Raises:
        StoreError: The note is none.
    """
    facts = decode_fact("data", text)
    if facts is None:
        return Guess()
    if not isinstance(facts, dict):
        raise damaged("the note of its data", "no JSON object")
    count, baseline = facts.get("val_majority"), facts.get("val_baseline")
    if count is not None and not (type(count) is int and count >= 0):
        raise damaged("the note of its data", "without the count of its most frequent class")
    if baseline is not None and type(baseline) not in (int, float):
        raise damaged("the note of its data", "with a baseline that is no number")
    return Guess(count, None if baseline is None else float(baseline))


def decode_steps(text: str | None) -> dict[str, int]:
    """The places of the plan's levels in their methods' lists, by digest; none in an old store.

    Raises:
        StoreError: The note is none.
    """
    steps = decode_fact("steps", text)
    if steps is None:
        return {}
    if not isinstance(steps, dict) or not all(
        type(step) is int and step >= 0 for step in steps.values()
    ):
        raise damaged("the note of its steps", "not a number for each run")
    return steps


def decode_trained(
    digest: str, made_by: str, trained: object
) -> tuple[dict[str, str], float | None]:
    """The parents of a run, by role, and the seconds that it trained; None if it does not say.

    Raises:
        StoreError: They are of another form.
    """
    what = f"the run {digest[:12]}"
    parents = _parents(what, made_by)
    if trained is None:
        return parents, None
    if type(trained) not in (int, float) or not 0 <= trained < math.inf:  # type: ignore[operator]
        raise damaged(what, "with a training time that is none")
    return parents, float(trained)  # type: ignore[arg-type]


def _check_seal(what: str, text: str) -> None:
    if is_broken(text):
        raise damaged(what, "a row that is not as it was written")


def decode_sum(digest: str, found: object) -> str:
    """The SHA-256 of a run's file; empty where an old store noted none.

    Raises:
        StoreError: It is of another form.
    """
    if found is None:
        return ""
    if not isinstance(found, str) or not _SUM.fullmatch(found):
        raise damaged(f"the run {digest[:12]}", "with a sum of its file that is none")
    return found


def _parents(what: str, made_by: str) -> dict[str, str]:
    held = _read(what, made_by)
    parents = held.get("parents") if isinstance(held, dict) else None
    if not isinstance(parents, dict) or not all(isinstance(p, str) for p in parents.values()):
        raise damaged(what, "without its parents")
    return parents


def decode_training(digest: str, made_by: str, result: str) -> tuple[dict[str, str], list[Any]]:
    """The parents of a finished run, by role, and its curve.

    Raises:
        StoreError: They are no JSON of that form.
    """
    what = f"the run {digest[:12]}"
    _check_seal(what, result)
    parents, values = _parents(what, made_by), _read(what, result, finite=False)
    source = values.get("point", values) if isinstance(values, dict) else None
    curve = source.get("curve", []) if isinstance(source, dict) else None
    if not isinstance(curve, list) or not all(_is_entry(entry) for entry in curve):
        raise damaged(what, "with a curve that is none")
    return parents, curve


def _is_entry(entry: object) -> bool:
    return isinstance(entry, Mapping) and all(
        isinstance(entry.get(name), int | float) and not isinstance(entry.get(name), bool)
        for name in ("epoch", "loss", *(name for name in entry if name not in ("epoch", "loss")))
    )


def decode_fact(name: str, text: str | None) -> Any:
    """A fact that is JSON; None where it was never written.

    Raises:
        StoreError: It is no JSON.
    """
    return None if text is None else _read(f"the fact {name!r}", text)


def _read(what: str, text: object, finite: bool = True) -> Any:
    if not isinstance(text, str):
        raise damaged(what, "no text")
    try:
        return read_json(text, finite)
    except ValueError as error:
        raise damaged(what, f"no JSON ({plain(str(error), 120)})") from None


def damaged(what: str, given: str) -> StoreError:
    """The error about something that secateur did not write so."""
    return StoreError(
        "reading a run folder",
        what,
        given=given,
        expected="what secateur writes there",
        remedy="The store is damaged or not from secateur; run the sweep in a new folder.",
    )
