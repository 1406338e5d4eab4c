"""Joints: what lies between layers and has a kernel runs in one segment with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from one_node import ACTIVATIONS, joint
from torch import Tensor, nn
from torch.nn import functional

import secateur
from secateur.runtime.compiler.graph import NodeKind
from secateur.runtime.compiler.portable import portable_plan
from secateur.runtime.kernels import library
from secateur.runtime.portable.net import Net
from secateur.runtime.portable.plan_file import encode

KINDS: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]], NodeKind]] = {
    **{name: (run, [(4, 3, 3)], NodeKind.ACTIVATION) for name, run in ACTIVATIONS.items()},
    "product": (torch.mul, [(4, 3, 3)] * 2, NodeKind.MULTIPLY),
    "gate": (torch.mul, [(4, 3, 3), (4, 1, 1)], NodeKind.SCALE),
    "concatenation": (lambda *x: torch.cat(x, 1), [(4, 3, 3), (2, 3, 3)], NodeKind.CONCAT),
    "pixel shuffle": (lambda x: functional.pixel_shuffle(x, 2), [(4, 3, 3)], NodeKind.SHUFFLE),
    "square": (lambda x: x * x, [(4, 3, 3)], NodeKind.TORCH),
    "scaled": (lambda x: x * 2.0, [(4, 3, 3)], NodeKind.TORCH),
    "other axis": (lambda *x: torch.cat(x, 2), [(4, 3, 3)] * 2, NodeKind.TORCH),
    "twice the same": (lambda x: torch.cat([x, x], 1), [(4, 3, 3)], NodeKind.TORCH),
    "broadcast": (torch.mul, [(4, 3, 3), (4, 3, 1)], NodeKind.TORCH),
    "bounds that are tensors": (
        lambda x, low: torch.clamp(x, min=low), [(4, 3, 3)] * 2, NodeKind.TORCH
    ),
    "selu": (functional.selu, [(4, 3, 3)], NodeKind.TORCH),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_form_that_has_a_kernel_is_of_its_kind(name: str) -> None:
    run, shapes, kind = KINDS[name]
    node = joint(run, *shapes).node
    assert node.kind is kind
    x = [torch.randn(2, *shape) for shape in shapes]
    assert node.call is not None
    torch.testing.assert_close(node.call(*x), run(*x))


class Gated(nn.Module):
    """What mobile nets are made of: a gate for each channel, and two branches side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.gate = nn.Conv2d(8, 8, 1)
        self.up = nn.ConvTranspose2d(12, 6, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.hardswish(self.first(x))
        x = x * functional.hardsigmoid(self.gate(x.mean((2, 3), keepdim=True)))
        x = torch.cat([x, functional.relu6(self.second(x))], 1)
        return functional.silu(self.norm(self.up(x)))


class Sequences(nn.Module):
    """A gated layer of a transformer, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.gate, self.down = nn.Linear(6, 12), nn.Linear(6, 12), nn.Linear(12, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(functional.silu(self.gate(x)) * functional.gelu(self.up(x)))


class Volumes(nn.Module):
    """Convolutions over volumes, their norms and a mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv3d(2, 4, 3, padding=1), nn.BatchNorm3d(4)
        self.second, self.last = nn.Conv3d(4, 6, 2, stride=2, bias=False), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.elu(self.second(torch.relu(self.norm(self.first(x)))))
        return self.last(functional.adaptive_avg_pool3d(x, 1).flatten(1))


class Waves(nn.Module):
    """A decoder over one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv1d(2, 6, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose1d(6, 3, 4, stride=2, padding=1, groups=3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.up(functional.leaky_relu(self.down(x), 0.1)))


NETS = {
    "gated": (Gated, (3, 6, 5)),
    "sequences": (Sequences, (4, 6)),
    "volumes": (Volumes, (2, 4, 6, 6)),
    "waves": (Waves, (2, 12)),
}


@pytest.mark.skipif(not library.available(), reason="no native kernels here")
@pytest.mark.parametrize("backend", ["sparse", "sparse-lanes", "torch-folded"])
@pytest.mark.parametrize("name", NETS)
def test_nets_of_them_run_in_one_segment(name: str, backend: str, sparsified, exact, close) -> None:
    build, shape = NETS[name]
    net = sparsified(build(), 0.5)
    x = torch.randn(9, *shape)
    engine = secateur.compile(net, x, backend=backend, batches=[9])
    close(engine(x), exact(net, x))
    close(engine(x[:2]), exact(net, x[:2]))
    assert engine.choice(9).backend == backend
    if backend != "torch-folded":
        run: Any = engine.choice(9).plan
        assert [type(one).__name__ for one in run._segments] == ["Segment"]


@pytest.mark.skipif(not library.available(), reason="no native kernels here")
@pytest.mark.parametrize("name", [name for name in NETS if name != "sequences"])
def test_a_plan_file_of_them_runs_without_torch(
    name: str, tmp_path: Path, sparsified, exact, close
) -> None:
    build, shape = NETS[name]
    net = sparsified(build(), 0.5)
    (tmp_path / "net.plan").write_bytes(encode(portable_plan(net, torch.zeros(1, *shape))))
    run = Net(tmp_path / "net.plan")
    for batch in (1, 9):
        x = torch.randn(batch, *shape)
        close(torch.from_numpy(run(x.numpy())), exact(net, x))
