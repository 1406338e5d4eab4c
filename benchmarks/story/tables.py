"""Tables of committed results: what was measured, and nothing that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from secateur.study.aggregate import estimate

Results = Mapping[str, Any]
Row = Sequence[str]
PER_CENT = 100


def markdown(head: Row, rows: Sequence[Row]) -> Iterator[str]:
    """The lines of a table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    yield from ("| " + " | ".join(row) + " |" for row in rows)
    yield ""


def about(found: Results) -> str:
    """Machine, versions, seeds and seconds of a results file, in one line."""
    seeds = sorted({point["seed"] for point in found.get("points", ())})
    where = ", ".join(f"{name} {value}" for name, value in found["environment"].items())
    drawn = f"seeds {', '.join(map(str, seeds))}; " if seeds else ""
    return f"{drawn}{found['seconds']} s; {where}."


def share(values: Sequence[Fraction]) -> str:
    """`0.912 ±0.004` over seeds."""
    found = estimate(values)
    return str(found).split(" (", 1)[0]


def by_level(found: Results, split: str = "test") -> Iterator[str]:
    """Accuracy by method and level, over the seeds; the sparsities that were reached beside it."""
    groups: dict[tuple[str, str], list[Results]] = {}
    for point in found["points"]:
        groups.setdefault((point["method"], point["level"]), []).append(point)
    rows = []
    for (method, level), points in groups.items():
        rows.append(
            [
                f"`{method}`",
                level,
                share([Fraction(*point[split]) for point in points]),
                _mean(points, lambda point: Fraction(*point["sparsity"])),
                _mean(points, lambda point: Fraction(*point["conv_sparsity"])),
                _mean(points, lambda point: Fraction(point["macs"], point["masked_macs"])),
                _whole(points, "bytes"),
                str(sum(1 for point in points if point["collapsed"])),
                str(len(points)),
            ]
        )
    head = ["method", "level", f"{split} accuracy", "sparsity", "of the convolutions"]
    yield from markdown([*head, "share of MACs", "bytes", "at chance", "seeds"], rows)


def _mean(points: Sequence[Results], read: Callable[[Results], Fraction]) -> str:
    return f"{estimate([read(point) for point in points]).mean:.3f}"


def _whole(points: Sequence[Results], name: str) -> str:
    values = [point[name] for point in points if point.get(name)]
    return f"{round(estimate(values).mean)}" if values else "-"


def areas(found: Results) -> Iterator[str]:
    """The hypervolumes of every method, over the seeds."""
    axes = found.get("hypervolumes", {})
    methods = list(dict.fromkeys(method for axis in axes.values() for method in axis))
    rows = [
        [
            f"`{method}`",
            *(share([Fraction(v) for v in axis.get(method, {"": 0}).values()])
              for axis in axes.values()),
        ]
        for method in methods
    ]  # fmt: skip
    yield from markdown(["method", *(f"against {axis}" for axis in axes)], rows)


def yardsticks(found: Results) -> Iterator[str]:
    """What is published beside ours."""
    rows = []
    for one in found["yardsticks"]:
        unit = "x" if one["unit"] == "x" else ""
        signed = "+.2f" if one["unit"] == "points" else ".3g"
        band = "" if one["band"] is None else f" ±{one['band']:.2f}"
        ours = "-" if one["ours"] is None else f"{one['ours']:{signed}}{unit}{band}"
        rows.append(
            [
                one["name"], one["says"], one["source"], f"{one['value']:{signed}}{unit}", ours,
                one["read"], one["verdict"],
            ]
        )  # fmt: skip
    head = ["yardstick", "published", "source", "value", "ours", "read from", "verdict"]
    yield from markdown(head, rows)


def peers(found: Results) -> Iterator[str]:
    """Every net of ours and of the peers, by what it was asked for."""
    groups: dict[tuple[str, str], list[Results]] = {}
    for one in [*found["points"], *found["peers"]]:
        groups.setdefault((one["level"], one["method"]), []).append(one)
    theirs = {one["method"] for one in found["peers"]}
    rows = []
    for (level, method), nets in sorted(groups.items()):
        rows.append(
            [
                level.replace("macs=", "") if "macs" in level else level,
                method if method in theirs else f"**secateur** `{method}`",
                share([Fraction(*one["val"]) for one in nets]),
                share([Fraction(*one["test"]) for one in nets]),
                _whole(nets, "macs"),
                _whole(nets, "nonzero"),
                _whole(nets, "bytes"),
                *(_milliseconds(nets, batch) for batch in (1, 32)),
            ]
        )
    head = ["asked", "method", "val accuracy", "test accuracy", "MACs", "not zero", "bytes"]
    yield from markdown([*head, "ms, batch 1", "ms, batch 32"], rows)


def _milliseconds(nets: Sequence[Results], batch: int) -> str:
    """The fastest engine's median; the median of it over the seeds."""
    best = sorted(
        min(timing[2] for timing in one["latency"] if timing[1] == batch)
        for one in nets
        if any(timing[1] == batch for timing in one.get("latency", ()))
    )
    return f"{1000 * best[len(best) // 2]:.3f}" if best else "-"
