"""Report: what an engine measured and chose, as tables of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from secateur.runtime.compiler.choice import BACKENDS, TORCH, Choice
from secateur.runtime.compiler.graph import Graph, Node, NodeKind
from secateur.runtime.compiler.packing import unsupported
from secateur.runtime.kernels import library


class Measured(Protocol):
    """What a report says of an engine; see `Engine`'s attributes."""

    takes_one: bool
    shape: tuple[int, ...]
    threads: int
    graph: Graph | None
    why_whole: str

    @property
    def choices(self) -> Mapping[int, Choice]: ...  # noqa: D102

    @property
    def inputs(self) -> object: ...  # noqa: D102


def report(engine: Measured) -> str:
    """The tables of an engine.

    For each size of the batch: the whole network on each backend, then each layer alone, in
    microseconds (medians). The plan with the lowest third quartile runs. Then what runs in torch,
    and why.
    """
    return "\n".join(_lines(engine))


def _lines(engine: Measured) -> Iterator[str]:
    shape = "x".join(map(str, ("N", *engine.shape))) if engine.takes_one else engine.inputs
    threads = f"{engine.threads} thread{'s' if engine.threads > 1 else ''}"
    yield f"Engine for {shape}, {threads}; medians in µs, * what runs"
    for choice in engine.choices.values():
        yield ""
        yield from _choice(choice)
    notes = [*_notes(engine)]
    if notes:
        yield ""
        yield from notes


def _choice(choice: Choice) -> Iterator[str]:
    names = [name for name in BACKENDS if any(name in each.seconds for each in choice.layers)]
    names += [name for name in choice.timings if name not in names]
    head = [f"batch {choice.batch}", "weight", "zeros", *names, ""]
    rows = [
        [
            each.node.name,
            _shape(each.node),
            _zeros(each.node),
            *(_time(each.seconds.get(name)) for name in names),
            each.backend,
        ]
        for each in choice.layers
    ]
    for title, quantile in (("whole", "median"), ("  3rd quartile", "q3")):
        times = {name: getattr(timing, quantile) for name, timing in choice.timings.items()}
        last = f"{choice.backend} *" if quantile == "median" else ""
        rows.append([title, "", "", *(_time(times.get(name)) for name in names), last])
    yield from _table(head, rows)


def _shape(node: Node) -> str:
    return "x".join(map(str, node.matrix.shape))


def _zeros(node: Node) -> str:
    return f"{node.zeros / node.matrix.numel():.2%}"


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{1e6 * seconds:,.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if 1 < place < len(row) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _notes(engine: Measured) -> Iterator[str]:
    if engine.graph is None:
        runs = {choice.backend for choice in engine.choices.values()}
        where = "in torch as it is" if runs <= {TORCH} else "as a whole"
        yield f"The network runs {where}: {engine.why_whole}."
    yield from dict.fromkeys(
        f"Left out: {name}: {why}."
        for choice in engine.choices.values()
        for name, why in choice.left_out.items()
    )
    if engine.graph is None:
        return
    for choice in engine.choices.values():
        if choice.why:
            yield f"At batch {choice.batch} the network runs in torch as it is: {choice.why}."
    if not library.available():
        yield f"No sparse kernels: {library.why_not()}"
    others = Counter(
        (node.name, unsupported(node) or "", node.kind is NodeKind.TORCH)
        for node in engine.graph.nodes
        if unsupported(node)
    )
    for (name, why, _), count in others.items():
        times = f" ({count} times)" if count > 1 else ""
        yield f"Not on the kernels: {name}{times}: {why}."
