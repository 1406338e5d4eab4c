"""Expectation: what was expected, as a thing, of an error of pydantic's, which says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TABLE = "a name, or a table with `name` and `options`"
_THINGS = {
    "missing": "a value",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_too_short": "at least {min_length} letters",
    "string_too_long": "at most {max_length} letters",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "none_required": "nothing",
    "invalid_key": "a name, which is text",
}
# By how the name of the kind of error begins: `int_type`, `int_parsing`, `int_from_float`, ...
_KINDS = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "string_": "text",
    "list_": "a list",
    "tuple_": "a list",
    "set_": "a list",
    "frozen_set_": "a list",
    "dict_": "a table",
    "mapping_": "a table",
    "model_": "a table",
}


def expectation(error: Mapping[str, Any]) -> str:
    """What one error of pydantic's expected, to stand behind the word `expected`.

    Args:
        error: An entry of `ValidationError.errors()`.

    Example:
        >>> expectation({"type": "greater_than_equal", "ctx": {"ge": 0}, "msg": "Input should ..."})
        'at least 0'
        >>> expectation({"type": "int_parsing", "msg": "Input should be a valid integer, ..."})
        'a whole number'
        >>> expectation({"type": "literal_error", "msg": "Input should be 'sgd' or 'adam'"})
        "'sgd' or 'adam'"
    """
    kind, context = error["type"], error.get("ctx", {})
    if context.get("class_name") == "Named":
        return _TABLE
    if kind in _THINGS:
        return _THINGS[kind].format(**context)
    for beginning, thing in _KINDS.items():
        if kind.startswith(beginning):
            return thing
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    return message[:1].lower() + message[1:]
