"""The one table of rules: operator name → what it does to channels."""

from __future__ import annotations

from collections.abc import Callable

from secateur.channels.labels.op_call import Rule

RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a function into the table under these operator names."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register
