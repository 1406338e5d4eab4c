"""Sampling: which part of secateur's channel engine the CPU time goes to."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PERIOD = 0.002
# The innermost frame in one of these files says what a sample belongs to.
PARTS = {
    "channels/float64.py": "float64 arithmetic",
    "channels/scratch.py": "float64 arithmetic",
    "channels/output_comparison.py": "comparing outputs",
    "channels/rebuild.py": "copying modules",
    "foundation/own_tensors.py": "copying modules",
    "channels/compaction/copies.py": "masked and compact tensors",
    "channels/compaction/verified_cut.py": "fingerprints",
    "channels/compaction/verify.py": "the network's own Python, compared",
    "channels/tracing/run.py": "the network's own Python, recorded",
    "channels/tracing/dry_run.py": "dry runs",
    "channels/tracing/played_operator.py": "dry runs",
    "channels/tracing/attribute_search.py": "dry runs",
    "channels/tracing/module_numbers.py": "dry runs",
    "channels/tracing/cut.py": "dry runs",
    "channels/tracing/channel_classes.py": "channel classes",
    "channels/labels/constraints.py": "channel classes",
    "channels/operators/": "rules",
    "channels/labels/": "rules",
    "channels/tracing/": "writing steps down",
    "channels/": "rest of the engine",
    "pruning/": "scores and masks",
    "verbs/": "scores and masks",
}


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """While open, counts samples by part, one for each `PERIOD` of CPU time."""
    found: Counter[str] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        found[_part(frame)] += 1

    before = signal.signal(signal.SIGPROF, note)
    signal.setitimer(signal.ITIMER_PROF, PERIOD, PERIOD)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        _, found, inside = frame.f_code.co_filename.partition("/secateur/")
        if found:
            for place, part in PARTS.items():
                if inside.startswith(place):
                    return part
        frame = frame.f_back
    return "outside"
