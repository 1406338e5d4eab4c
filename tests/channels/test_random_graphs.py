"""Property: whatever known operators a network is put together from, a cut is exact."""

from __future__ import annotations

from collections.abc import Callable

import torch
from cutting import assert_same, random_masks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from zoo import Net

from secateur.channels import compact_with_record, trace
from secateur.errors import ChannelError
from secateur.pruning.groups import Groups

WIDTHS = (2, 4, 6, 8)


class RandomGraph:
    """A directed graph of feature maps, grown from a stream of choices."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self.choose = choose
        self.layers: dict[str, nn.Module] = {}
        self.steps: list[Callable[[Net, list[Tensor]], Tensor]] = []
        self.widths = [3]

    def layer(self, module: nn.Module) -> str:
        name = f"layer{len(self.layers)}"
        self.layers[name] = module
        return name

    def add(self, width: int, step: Callable[[Net, list[Tensor]], Tensor]) -> int:
        self.steps.append(step)
        self.widths.append(width)
        return len(self.widths) - 1

    def through(self, at: int, module: nn.Module, width: int) -> int:
        name = self.layer(module)
        return self.add(width, lambda net, maps: getattr(net, name)(maps[at]))

    def conv(self, at: int, width: int) -> int:
        size = (1, 3)[self.choose(2)]
        return self.through(at, nn.Conv2d(self.widths[at], width, size, padding=size // 2), width)

    def grow(self) -> None:
        at = self.choose(len(self.widths))
        width = self.widths[at]
        kind = self.choose(12)
        if kind <= 2:
            self.conv(at, WIDTHS[self.choose(4)])
        elif kind == 3:
            self.through(at, nn.BatchNorm2d(width), width)
        elif kind == 4:
            active = (nn.ReLU(), nn.Sigmoid(), nn.GELU(), nn.PReLU(width))[self.choose(4)]
            self.through(at, active, width)
        elif kind == 5:
            self.through(at, nn.Conv2d(width, 2 * width, 3, padding=1, groups=width), 2 * width)
        elif kind == 6:
            other = self.conv(self.choose(len(self.widths)), width)
            self.add(width, lambda _, maps: maps[at] + maps[other])
        elif kind == 7:
            other = self.conv(self.choose(len(self.widths)), width)
            self.add(width, lambda _, maps: maps[at] * maps[other].mean((2, 3), keepdim=True))
        elif kind == 8:
            other = self.choose(len(self.widths))
            self.add(
                width + self.widths[other], lambda _, maps: torch.cat([maps[at], maps[other]], 1)
            )
        elif kind == 9 and width % 2 == 0:
            self.add(width // 2, lambda _, maps: maps[at].chunk(2, 1)[0])
        elif kind == 10 and width % 2 == 0:
            self.add(width // 2, lambda _, maps: functional.glu(maps[at], 1))
        elif kind == 11 and width % 2 == 0:
            self.add(
                width,
                lambda _, maps: maps[at].unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2),
            )

    def build(self) -> Net:
        steps, last = list(self.steps), self.widths[-1]

        def run(net: Net, x: Tensor) -> Tensor:
            maps = [x]
            for step in steps:
                maps.append(step(net, maps))
            return net.head(maps[-1].mean((2, 3)))

        return Net(run, **self.layers, head=nn.Linear(last, 2))


def groups_of(model: nn.Module, example: Tensor) -> Groups | None:
    """The groups, or None where all of the network is pinned and says so."""
    try:
        return trace(model, example).groups("all")
    except ChannelError as refusal:
        if "pinned as a whole" not in str(refusal):
            raise
        return None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(3, 14))
def test_random_graphs_are_cut_exactly_or_refused(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    graph = RandomGraph(lambda n: int(torch.randint(n, (1,), generator=generator)))
    graph.conv(0, 6)
    for _ in range(size):
        graph.grow()
    torch.manual_seed(seed % 1000)
    model = graph.build().double().eval()
    example = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    groups = groups_of(model, example)
    if groups is None:
        return
    masks, dead = random_masks(model, groups, 0.4, seed % 1000)
    record = compact_with_record(model, masks, example)
    assert_same(model, masks, record, example)
    for slot in groups.slots:
        if slot.role == "write":
            doomed = (slot.groups >= 0) & dead[slot.groups.clamp(min=0)]
            kept = record.kept.get(slot.parameter, {}).get(slot.axis)
            if kept is not None:
                assert not doomed[kept].any()
            else:
                assert not doomed.any()
