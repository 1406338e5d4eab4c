"""Own path: the `package.module:function` that was probably meant by what was written."""

from __future__ import annotations

import re

_NAME = r"[^\W\d]\w*"
_FILES = (".py", ".pt", ".pth", ".pt2", ".onnx", ".safetensors", ".toml", ".npz")
_PATH = re.compile(rf"{_NAME}(?:\.{_NAME})*:{_NAME}(?:\.{_NAME})*")


def meant_path(written: str) -> str:
    """What a path to something of the user's own should have been.

    Args:
        written: `mynets.py:build`, `./mynets:build`, `mynets.build`, `mynets:build()`, say.

    Returns:
        Empty where nothing better is known, or it is a path already.

    Example:
        >>> meant_path("./nets/mine.py:build"), meant_path("mynets.build"), meant_path("a:b")
        ('nets.mine:build', 'mynets:build', '')
    """
    module, colon, name = (part.strip() for part in written.partition(":"))
    folders = module.replace("\\", "/").removeprefix("./").removesuffix(".py")
    module = folders.replace(".py/", "/").replace("/", ".").strip(".")
    if not colon:
        if written.endswith(_FILES):
            return ""
        module, _, name = module.rpartition(".")
    name = name.partition("(")[0].partition(":")[0].strip()
    found = f"{module}:{name}"
    return found if found != written and _PATH.fullmatch(found) else ""


def is_path(written: str) -> bool:
    """Whether a text has the form of such a path, and so can stand in a command as it is.

    Example:
        >>> is_path("mynets:build"), is_path("mynets:build; ls"), is_path("conv4")
        (True, False, False)
    """
    return _PATH.fullmatch(written) is not None and written.isascii()


def did_you_mean(written: str) -> str:
    """The same as a sentence with a space behind it; empty where nothing better is known.

    Example:
        >>> did_you_mean("mynets.py:build")
        "Did you mean 'mynets:build'? "
    """
    found = meant_path(written)
    return f"Did you mean {found!r}? " if found else ""
