"""Colons in completions of bash, which takes `magnitude:0.9` for three words."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator

_ASKED = "_SECATEUR_COMPLETE"
_WORDS, _PLACE = "COMP_WORDS", "COMP_CWORD"


@contextlib.contextmanager
def whole_words() -> Iterator[None]:
    """Let completions for bash see a word with colons as one, and answer its last part alone.

    Bash exchanges what stands behind the last colon, and asks with a line for each of its words.
    """
    words = os.environ.get(_WORDS, "")
    glued = re.sub(r"\n:(?:\n|$)", ":", words)
    if os.environ.get(_ASKED) != "complete_bash" or glued == words:
        yield
        return
    os.environ[_WORDS] = glued
    os.environ[_PLACE] = str(glued.count("\n"))
    head = glued.rpartition("\n")[2].rpartition(":")[0]
    answer = io.StringIO()
    try:
        with contextlib.redirect_stdout(answer):
            yield
    finally:
        lines = answer.getvalue().splitlines()
        sys.stdout.write("".join(f"{line.removeprefix(f'{head}:')}\n" for line in lines))
