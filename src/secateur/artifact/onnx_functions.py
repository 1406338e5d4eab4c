"""The functions of an ONNX file, which call each other: to how many operators they unfold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Any

MOST_OPERATORS = 1_000_000

_Key = tuple[str, str, str]


def unfolded(model: Any) -> int:
    """Operators of a model once each call of a function is written out.

    Two kilobytes of functions, each of which calls the next one ten times, are more operators
    than any runtime has room for, and every one of them would try.

    Args:
        model: An ONNX model.

    Returns:
        How many; `MOST_OPERATORS` and one for more than that.

    Raises:
        ValueError: A function calls itself, over others or at once.
    """
    calls = {_key(one, one.name): _calls(one.node) for one in model.functions}
    try:
        order = tuple(TopologicalSorter(calls).static_order())
    except CycleError as error:
        raise ValueError(f"the function {error.args[1][0][1]!r:.60} calls itself") from None
    sizes: dict[_Key, int] = {}
    for name in order:
        if name in calls:
            sizes[name] = _size(calls[name], sizes)
    return _size(_calls(model.graph.node), sizes)


def _size(calls: Counter[_Key], sizes: dict[_Key, int]) -> int:
    return min(sum(n * sizes.get(name, 1) for name, n in calls.items()), MOST_OPERATORS + 1)


def _calls(nodes: Iterable[Any]) -> Counter[_Key]:
    """How often each operator or function is called, in graphs within graphs, too."""
    found: Counter[_Key] = Counter()
    for node in nodes:
        found[_key(node, node.op_type)] += 1
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                found += _calls(graph.node)
    return found


def _key(one: Any, name: str) -> _Key:
    domain = "" if one.domain == "ai.onnx" else one.domain
    return domain, name, getattr(one, "overload", "")
