"""Tables of committed results: what was measured, and nothing that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from secateur.study.aggregate import estimate
from secateur.yardsticks.published import YARDSTICKS

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
    took = f"{found['seconds']} s; " if "seconds" in found else ""
    return f"{drawn}{took}{where}."


def share(values: Sequence[Fraction]) -> str:
    """`0.912 ±0.004` over seeds."""
    found = estimate(values)
    return str(found).split(" (", 1)[0]


def by_level(found: Results) -> Iterator[str]:
    """Accuracy by method and level, over the seeds; what was reached and paid for beside it."""
    points = found["points"]
    split = "test" if all("test" in point for point in points) else "val"
    groups: dict[tuple[str, str], list[Results]] = {}
    for point in points:
        groups.setdefault((point["method"], _level(point)), []).append(point)
    columns: dict[str, Callable[[list[Results]], str]] = {
        f"{split} accuracy": lambda these: share([Fraction(*one[split]) for one in these]),
        "sparsity": lambda these: _mean_share(these, "sparsity"),
        "of the convolutions": lambda these: _mean_share(these, "conv_sparsity"),
    }
    if all("macs" in point for point in points):
        columns["share of MACs"] = lambda these: _mean(
            these, lambda one: Fraction(one["macs"], one["masked_macs"])
        )
        columns["bytes"] = lambda these: _whole(these, "bytes")
    columns["at chance"] = lambda these: str(sum(1 for one in these if one["collapsed"]))
    columns["seeds"] = lambda these: str(len(these))
    rows = [
        [f"`{method}`", level, *(cell(these) for cell in columns.values())]
        for (method, level), these in groups.items()
    ]
    yield from markdown(["method", "level", *columns], rows)


def _level(point: Results) -> str:
    """The level; of a dense net, which may be there with more and with less training, that."""
    epochs = point.get("epochs")
    return f"{sum(epochs)} epochs" if point["level"] == "-" and epochs else str(point["level"])


def _mean(points: Sequence[Results], read: Callable[[Results], Fraction]) -> str:
    return f"{estimate([read(point) for point in points]).mean:.3f}"


def _mean_share(points: Sequence[Results], name: str) -> str:
    """Of a net without convolutions there is no share of them."""
    if not all(point[name][1] for point in points):
        return "-"
    return _mean(points, lambda point: Fraction(*point[name]))


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
              for axis in map(_of_seeds, axes.values())),
        ]
        for method in methods
    ]  # fmt: skip
    yield from markdown(["method", *(f"against {axis}" for axis in axes)], rows)


def _of_seeds(axis: Results) -> dict[str, dict[str, float]]:
    """Method -> seed -> area; of recipes they are lists."""
    return {
        method: dict(areas) if isinstance(areas, Mapping) else dict(enumerate(areas))
        for method, areas in axis.items()
    }


def published() -> Iterator[str]:
    """Every published figure that ours is held against, and where it stands."""
    rows = [[one.name, one.says, one.source] for one in YARDSTICKS]
    yield from markdown(["yardstick", "published", "source"], rows)


def yardsticks(found: Results) -> Iterator[str]:
    """What is published beside ours."""
    rows = []
    for one in found["yardsticks"]:
        unit = "x" if one["unit"] == "x" else ""
        signed = "+.2f" if one["unit"] == "points" else ".3g"
        band = "" if one["band"] is None else f" ±{one['band']:.2f}"
        ours = "-" if one["ours"] is None else f"{one['ours']:{signed}}{unit}{band}"
        value = f"{one['value']:{signed}}{unit}"
        rows.append([one["name"], value, ours, one["read"], one["verdict"]])
    yield from markdown(["yardstick", "published", "ours", "read from", "verdict"], rows)
    yield from (f"- {words}" for words in found["protocols"].values())
    yield ""


def attempts(found: Results) -> Iterator[str]:
    """What of a peer could be had beside the torch that is here."""
    rows = [[one["what"], ", ".join(one["with"]), one["outcome"]] for one in found["attempts"]]
    yield from markdown(
        ["of fasterai", "packages, by pip, without their dependencies", "import"], rows
    )


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
                level.replace("macs=", "MACs ").replace("-", "nothing"),
                method if method in theirs else f"**secateur** `{method}`",
                share([Fraction(*one["val"]) for one in nets]),
                share([Fraction(*one["test"]) for one in nets]),
                _whole(nets, "macs"),
                _whole([{"left": _left(one)} for one in nets], "left"),
                _whole(nets, "bytes"),
                *(_milliseconds(nets, batch) for batch in (1, 32)),
            ]
        )
    head = ["asked", "method", "val accuracy", "test accuracy", "MACs", "not zero", "bytes"]
    yield from markdown([*head, "ms, batch 1", "ms, batch 32"], rows)
    ours = [one for one in found["points"] if "macs" in one["level"]]
    others = [one for one in found["peers"] if one["structured"]]
    for words, nets in (("ours", ours), ("the peers'", others)):
        seconds = sum(one["seconds"] for one in nets)
        yield f"- {len(nets)} structured nets of {words}: {seconds:.0f} s, cut to retrained."
    yield ""


def _left(net: Results) -> int | None:
    """Parameters that are neither zero nor in a channel that is gone."""
    if "nonzero" not in net:
        return None
    return min(net["nonzero"], net.get("compact_parameters", net["nonzero"]))


def _milliseconds(nets: Sequence[Results], batch: int) -> str:
    """The fastest engine's median; the median of it over the seeds."""
    best = sorted(
        min(timing[2] for timing in one["latency"] if timing[1] == batch)
        for one in nets
        if any(timing[1] == batch for timing in one.get("latency", ()))
    )
    return f"{1000 * best[len(best) // 2]:.3f}" if best else "-"
