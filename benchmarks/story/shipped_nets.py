"""Tables of what is shipped: every form of every net that was picked, beside the dense one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tables import by_level, markdown

Results = Mapping[str, Any]
MILLI = 1000


def table(found: Results) -> Iterator[str]:
    """Quality, bytes and milliseconds of each form; then the points of the sweep."""
    if "shipped" not in found:
        yield from ("What is shipped of it is not measured yet; the same command goes on.", "")
        yield from by_level(found)
        return
    batches = sorted({timing[1] for form in found["shipped"] for timing in form["latency"]})
    head = ["net", "form", "val accuracy", "test accuracy", "bytes"]
    head += [f"ms, batch {batch}" for batch in batches]
    yield from markdown(head, [_row(form, batches) for form in found["shipped"]])
    picks = ", ".join(f"by {axis} {net}" for axis, net in found["picks"].items() if axis != net)
    machine = found["machine"]
    yield (
        f"Picked within {found['within']} of the dense net on validation data: {picks}. One "
        f"thread of {machine['cpu']}, {machine['instruction_set']}; all forms interleaved in one "
        "process, median [quartiles]; in brackets what `secateur.compile` chose."
    )
    yield from ("", *by_level(found))


def _row(form: Results, batches: list[int]) -> list[str]:
    shares = [f"{form[split][0] / form[split][1]:.4f}" for split in ("val", "test")]
    size = "-" if form["bytes"] is None else str(form["bytes"])
    times = {timing[1]: timing for timing in form["latency"]}
    return [form["net"], form["form"], *shares, size, *(_time(times[one]) for one in batches)]


def _time(timing: list[Any]) -> str:
    engine, _, median, q1, q3 = timing
    chosen = engine.partition(": ")[2]
    shown = f"{MILLI * median:.3f} [{MILLI * q1:.3f}, {MILLI * q3:.3f}]"
    return f"{shown} ({chosen})" if chosen else shown
