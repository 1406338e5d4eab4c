"""Operators in ONNX: each gives torch's numbers, and a form that is not known is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.runtime.compiler import onnx
from secateur.runtime.compiler.capture import capture
from secateur.runtime.compiler.graph import JOINTS, Node, NodeKind
from secateur.runtime.compiler.onnx import OnnxSegment
from secateur.runtime.compiler.onnx_operators import can_write

pytestmark = pytest.mark.skipif(not onnx.available(), reason="needs onnx and onnxruntime")
WEIGHT = torch.linspace(0.5, 1.5, 8)


def attention(x: Tensor, **options: object) -> Tensor:
    heads = x.unflatten(2, (2, 4)).transpose(1, 2)
    return functional.scaled_dot_product_attention(heads, heads.exp(), heads, **options)


KNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "abs": torch.abs,
    "neg": torch.neg,
    "hardswish": functional.hardswish,
    "hardsigmoid": functional.hardsigmoid,
    "relu6": functional.relu6,
    "hardtanh": functional.hardtanh,
    "clamp": lambda x: x.clamp(-0.2, 0.3),
    "clamp from below": lambda x: x.clamp(min=0.1),
    "leaky relu": lambda x: functional.leaky_relu(x, 0.2),
    "silu": functional.silu,
    "gelu": functional.gelu,
    "gelu by tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "add a number": lambda x: x + 2,
    "subtract from a number": lambda x: x.sub(x.exp()),
    "scaled": lambda x: x * WEIGHT,
    "divided": lambda x: x / 3.0,
    "product": lambda x: x @ x.transpose(1, 2),
    "power": lambda x: (x.abs() + 1).pow(1.5),
    "softmax": lambda x: x.softmax(1),
    "log softmax": lambda x: x.log_softmax(-1),
    "layer norm": lambda x: functional.layer_norm(x, (8,), WEIGHT, WEIGHT),
    "layer norm alone": lambda x: functional.layer_norm(x, (6, 8)),
    "transpose": lambda x: x.transpose(1, -1),
    "permute": lambda x: x.permute(0, 2, 1),
    "concatenated": lambda x: torch.cat([x, x.exp(), x], -1),
    "mean": lambda x: x.mean(1),
    "mean, kept": lambda x: x.mean((1, 2), keepdim=True),
    "slice": lambda x: x[:, 1:5:2],
    "end": lambda x: x[..., -3:],
    "select": lambda x: x[:, -2],
    "attention": attention,
    "attention, causal": lambda x: attention(x, is_causal=True),
    "attention, masked": lambda x: attention(x, attn_mask=torch.ones(6, 6).tril() > 0),
    "attention, scaled": lambda x: attention(x, scale=0.3),
}
UNKNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "weighted": lambda x: torch.add(x, x.exp(), alpha=2),
    "rounded": lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    "softmax in double": lambda x: x.softmax(1, dtype=torch.float64),
    "bessel": torch.special.bessel_j0,
}


class Of(nn.Module):
    def __init__(self, run: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


def nodes_of(run: Callable[[Tensor], Tensor]) -> tuple[tuple[Node, ...], Node]:
    graph = capture(Of(run), torch.zeros(2, 6, 8))
    return graph.inner, graph.outputs[0]


@pytest.mark.parametrize("name", KNOWN)
def test_known_forms_give_torchs_numbers(name: str) -> None:
    nodes, output = nodes_of(KNOWN[name])
    assert {node.kind for node in nodes} & {NodeKind.TORCH, *JOINTS}
    assert all(map(can_write, nodes))
    made = OnnxSegment(nodes, [output], threads=1, spins=False)
    for size in (1, 5):
        x = torch.randn(size, 6, 8)
        expected = KNOWN[name](x)
        (given,) = made.run([x])
        assert given.shape == expected.shape
        assert torch.allclose(given, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", UNKNOWN)
def test_other_forms_are_refused(name: str) -> None:
    nodes, _ = nodes_of(UNKNOWN[name])
    assert not all(map(can_write, nodes))


def test_values_that_are_not_in_fp32_are_refused() -> None:
    nodes, _ = nodes_of(lambda x: (x > 0).float())
    assert not any(can_write(node) for node in nodes)
