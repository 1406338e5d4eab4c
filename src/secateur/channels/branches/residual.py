"""Residual branches: the sums of a pass that add to a tensor what was computed of it.

A *branch* is everything between `x` and the sum in `x + f(x)`: the steps that the second addend
depends on and the first does not. What a branch gives must go nowhere else, and its parameters
must be nobody else's; then the network without it is the one in which `f(x)` is zero, whatever
stands around the sum (`relu(x + f(x))` is `relu(x)`, `norm(x + f(x))` is `norm(x)`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import nn

from secateur.channels.branches.dataflow import Flow, Step

_AXES = 2
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Branch:
    """One residual branch.

    Attributes:
        path: The module that holds its weights.
        parameters: Its parameters' names, in the order of the pass.
        weights: Those of them that have two axes or more, longer than one.
        modules: The outermost modules of which every step is one of the branch's.
        sum: The number of the step that adds it.
        operand: Which of the two addends it is.
        pinned: Why it may not go; empty if it may.
    """

    path: str
    parameters: tuple[str, ...]
    weights: tuple[str, ...]
    modules: tuple[str, ...]
    sum: int
    operand: int
    pinned: str = ""


@dataclass(frozen=True, slots=True)
class _Cone:
    """Steps, as the bits of a number, behind one operand of a sum."""

    steps: int
    sum: int
    operand: int
    shortcut: int = 0


def residual_branches(model: nn.Module, flow: Flow) -> list[Branch]:
    """The residual branches of one pass, in its order, with why some of them may not go.

    Args:
        model: The network that ran.
        flow: Its pass.

    Example:
        >>> import torch
        >>> from secateur.channels.branches.dataflow import flow_of
        >>> class Block(nn.Linear):
        ...     def forward(self, x):
        ...         return x + super().forward(x).relu()
        >>> net = nn.Sequential(Block(3, 3), nn.Linear(3, 2))
        >>> [branch.path for branch in residual_branches(net, flow_of(net, torch.zeros(1, 3)))]
        ['0']
    """
    return _Residuals(model, flow).found()


class _Residuals:
    """The sums of a pass."""

    def __init__(self, model: nn.Module, flow: Flow) -> None:
        self._steps, self._outputs = flow.steps, frozenset(flow.outputs)
        parameters = dict(model.named_parameters())
        self._parameters = frozenset(parameters)
        self._weights = frozenset(
            name for name, one in parameters.items() if sum(size > 1 for size in one.shape) >= _AXES
        )
        self._behind = _behind(flow.steps)
        self._under: dict[str, int] = {}
        self._readers: dict[int, int] = {}
        self._moving = 0  # the steps that depend on an input
        for number, step in enumerate(flow.steps):
            for value in step.reads:
                self._readers[value] = self._readers.get(value, 0) | 1 << number
                if value not in self._behind or self._behind[value] & self._moving:
                    self._moving |= 1 << number
            for name in dict.fromkeys(step.stack):
                self._under[name] = self._under.get(name, 0) | 1 << number

    def found(self) -> list[Branch]:
        cones = [cone for cone in self._cones() if self._weights_of(cone)]
        plain = [cone for cone in cones if not cone.shortcut]
        sums = [cone.sum for cone in plain]
        branches = []
        for cone in cones:
            if cone.shortcut:
                if any(one.steps >> cone.sum & 1 for one in plain):
                    continue  # two ways inside of a branch
                why = self._shortcut(cone)
            elif any(cone.steps >> other & 1 for other in sums):
                why = "it holds residual branches of its own"
            else:
                why = self._needed(cone)
            branches.append(replace(self._branch(cone), pinned=why))
        return branches

    def _cones(self) -> Iterator[_Cone]:
        """Of every sum the addend that was computed of the other one, or of what both are of."""
        for number, step in enumerate(self._steps):
            if step.sum is None:
                continue
            behind = [self._behind.get(value, 0) for value in step.sum.values]
            own = [behind[0] & ~behind[1], behind[1] & ~behind[0]]
            for operand in (0, 1):
                if own[operand] and not own[1 - operand]:
                    steps = self._computed_of(step.sum.values[1 - operand], own[operand])
                    if steps:
                        yield _Cone(steps, number, operand)
            own = [one & self._moving for one in own]
            if all(own) and self._shares_its_input(own):
                sizes = [len(self._names_in(one, self._weights)) for one in own]
                operand = int(sizes[1] > sizes[0])
                yield _Cone(own[operand], number, operand, shortcut=own[1 - operand])

    def _computed_of(self, value: int, among: int) -> int:
        """The steps that depend on a value, and those of constants that they alone read.

        A mask or a table that several branches read is no part of one of them; what a weight is
        computed of is.
        """
        reached, found = {value}, 0
        for number in _bits(among):
            if not reached.isdisjoint(self._steps[number].reads):
                reached.update(self._steps[number].gives)
                found |= 1 << number
        for number in sorted(_bits(among & ~self._moving & ~found), reverse=True):
            readers = self._readers_of(self._steps[number].gives)
            if found and readers and not readers & ~found:
                found |= 1 << number
        return self._with_modules(found)

    def _with_modules(self, found: int) -> int:
        """The same steps, and the rest of a module that does nothing but compute with them.

        What it makes of another input (keys and values of a memory) is read there alone.
        """
        beside = 0
        for number in range(found.bit_length() - 1, -1, -1):
            readers = self._readers_of(self._steps[number].gives)
            if readers and not readers & ~(found | beside):
                beside |= 1 << number
        for under in self._under.values():
            if under & found and not under & ~(found | beside):
                found |= under
        return found

    def _readers_of(self, values: Sequence[int]) -> int:
        found = 0
        for value in values:
            found |= self._readers.get(value, 0)
        return found

    def _shares_its_input(self, own: Sequence[int]) -> bool:
        """Whether two ways to a sum begin at one tensor that an input changes."""
        first, second = (self._read_by(one) - self._given_by(one) for one in own)
        return any(
            value not in self._behind or self._behind[value] & self._moving
            for value in first & second
        )

    def _branch(self, cone: _Cone) -> Branch:
        names = self._names_in(cone.steps, self._parameters)
        weights = tuple(name for name in names if name in self._weights)
        return Branch(
            _common([name.rpartition(".")[0] for name in weights]),
            names,
            weights,
            tuple(self._modules_in(cone.steps)),
            cone.sum,
            cone.operand,
        )

    def _modules_in(self, steps: int) -> Iterator[str]:
        """The outermost modules that ran within some steps alone."""
        inside = {name for name, under in self._under.items() if name and not under & ~steps}
        for name in self._under:
            if name in inside and not any(name.startswith(f"{one}.") for one in inside):
                yield name

    def _shortcut(self, cone: _Cone) -> str:
        steps = [self._steps[one] for one in _bits(cone.shortcut)]
        words = dict.fromkeys(f"{step.name} in {step.path or 'the model'}" for step in steps)
        return f"its shortcut is not the identity ({', '.join(list(words)[:_NAMED])})"

    def _needed(self, cone: _Cone) -> str:
        """Who needs something of a branch beside its sum; empty if nobody does."""
        given = self._given_by(cone.steps)
        own = frozenset(self._names_in(cone.steps, self._parameters))
        if given & self._outputs:
            return "the network gives something of it"
        for number, step in enumerate(self._steps):
            where = f"{step.name} in {step.path or 'the model'}"
            if cone.steps >> number & 1:
                continue
            if own & set(step.own):
                return f"{sorted(own & set(step.own))[0]} is read elsewhere, too ({where})"
            read = list(step.reads)
            if number == cone.sum and step.sum is not None:
                read.remove(step.sum.values[cone.operand])
            if given & set(read):
                return f"it feeds something else ({where})"
        return ""

    def _weights_of(self, cone: _Cone) -> tuple[str, ...]:
        return self._names_in(cone.steps, self._weights)

    def _names_in(self, steps: int, names: frozenset[str]) -> tuple[str, ...]:
        own = (name for number in _bits(steps) for name in self._steps[number].own)
        return tuple(dict.fromkeys(name for name in own if name in names))

    def _read_by(self, steps: int) -> frozenset[int]:
        return frozenset(value for number in _bits(steps) for value in self._steps[number].reads)

    def _given_by(self, steps: int) -> frozenset[int]:
        return frozenset(value for number in _bits(steps) for value in self._steps[number].gives)


def _behind(steps: Sequence[Step]) -> dict[int, int]:
    """By value, the steps that it depends on, as the bits of a number."""
    behind: dict[int, int] = {}
    for number, step in enumerate(steps):
        own = 1 << number
        for value in step.reads:
            own |= behind.get(value, 0)
        for value in step.gives:
            behind[value] = own
    return behind


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _common(paths: Sequence[str]) -> str:
    """The module that holds all of some modules.

    Example:
        >>> _common(["blocks.0.conv1", "blocks.0.conv2"]), _common(["0"])
        ('blocks.0', '0')
    """
    parts = [path.split(".") for path in paths]
    shared: list[str] = []
    for names in zip(*parts, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return ".".join(shared)
