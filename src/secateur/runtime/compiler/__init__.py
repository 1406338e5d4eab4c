"""The engine: a pruned network packed once into a plan, on whatever runs it fastest here."""

from secateur.runtime.compiler.compiling import compile as compile  # noqa: A004
from secateur.runtime.compiler.engine import Engine

__all__ = ["Engine", "compile"]
