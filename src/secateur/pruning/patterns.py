"""Patterns: a few words that mean some of a network's parameters.

A pattern is the name of a parameter or of a module, a glob over such names (`features.*`), the
name of a layer's class (`Conv2d`), or the class itself. A module and a class stand for all that is
in them. Names are those of `model.named_parameters()`; case counts. `chosen_layers` knows `:first`
and `:last`, too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase

from torch import nn

from secateur.errors import MaskError
from secateur.pruning.computed import computed_weights
from secateur.pruning.naming import parameters_by_name, unwrapped

Pattern = str | type[nn.Module]

_NEAREST = 3


class PatternIndex:
    """A network's parameters, to be found by patterns.

    A parameter that several modules share is found by each of its names, and so is what a
    computed weight is made of by the weight's.

    Args:
        model: The network.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> index = PatternIndex(net)
        >>> index.find("2.*") == index.find("2") == {id(one) for one in net[2].parameters()}
        True
        >>> index.find("Linear") == {id(one) for one in net.parameters()}
        True
    """

    def __init__(self, model: nn.Module) -> None:
        self._classes: dict[str, type[nn.Module]] = {}
        self._named = [(name, id(one)) for name, one in parameters_by_name(model).items()]
        for root in (unwrapped(model), model):
            for path, module in root.named_modules(remove_duplicate=False):
                self._classes[path] = type(module)
                prefix = f"{path}." if path else ""
                for made in computed_weights(module):
                    alias = prefix + made.name
                    self._named += [(alias, id(one)) for one in made.ingredients.values()]

    def find(self, pattern: Pattern) -> frozenset[int]:
        """The ids of the parameters that a pattern means; none where it matches nothing."""
        return frozenset(number for name, number in self._named if self._is(pattern, name))

    def nearest(self, pattern: Pattern) -> list[str]:
        """Names that may have been meant: of parameters, modules and classes."""
        if not isinstance(pattern, str):
            return []
        paths = [path for path in self._classes if path]
        kinds = {kind.__name__ for path, kind in self._classes.items() if path}
        names = [*paths, *sorted(kinds), *(name for name, _ in self._named)]
        names += [f"{path}.*" for path in paths]
        last = {name.rpartition(".")[2]: name for name in reversed(names)}
        inside = difflib.get_close_matches(pattern, last, n=_NEAREST, cutoff=0.75)
        whole = difflib.get_close_matches(pattern, dict.fromkeys(names), n=_NEAREST, cutoff=0.5)
        return list(dict.fromkeys([*whole, *(last[name] for name in inside)]))[:_NEAREST]

    def refused(
        self, subject: str, pattern: Pattern, why: str = "matches nothing", remedy: str = ""
    ) -> MaskError:
        """The error about a pattern that cannot be meant; the nearest names are in it.

        Args:
            subject: The argument that it stands in.
            pattern: The pattern.
            why: What is wrong with it.
            remedy: Where another name would be none.
        """
        near = ", ".join(repr(name) for name in self.nearest(pattern))
        other = f"Did you mean {near}?" if near else "Take a name of model.named_modules()."
        named = pattern if isinstance(pattern, str) else pattern.__name__
        return MaskError(
            "choosing layers",
            subject,
            given=f"{named!r:.80}, which {why}",
            expected="the name of a weight or a module of the network, a glob over such names, "
            "or a class of layers",
            remedy=remedy or other,
        )

    def _is(self, pattern: Pattern, name: str) -> bool:
        if isinstance(pattern, str) and fnmatchcase(name, pattern):
            return True
        for path in _above(name):
            if isinstance(pattern, str) and path and fnmatchcase(path, pattern):
                return True
            kind = self._classes.get(path)
            if kind is not None and _is_kind(kind, pattern):
                return True
        return False


def _above(name: str) -> Iterator[str]:
    """The modules that a parameter is in, by name, up to the network."""
    while name:
        name = name.rpartition(".")[0]
        yield name


def _is_kind(kind: type[nn.Module], pattern: Pattern) -> bool:
    if isinstance(pattern, str):
        classes = kind.__mro__[: kind.__mro__.index(nn.Module)]
        return any(one.__name__ == pattern for one in classes)
    return issubclass(kind, pattern)
