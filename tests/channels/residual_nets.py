"""Small nets with residual branches of every kind, and what stands in the way of some."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur.models.resnet import ResidualBlock

X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
"""Two sequences of five tokens."""


class Perceptron(nn.Module):
    def __init__(self, width: int = 12, *, bias: bool = True) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, width, bias=bias), nn.Linear(width, 8, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(functional.gelu(self.up(x)))


class Attention(nn.Module):
    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class DropPath(nn.Module):
    """Stochastic depth, as the usual libraries have it."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * torch.empty(x.shape[0], 1, 1).bernoulli_(0.8) / 0.8


class Block(nn.Module):
    """A block of a vision transformer: norms first, layer scale, stochastic depth."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(8), Attention()
        self.norm2, self.perceptron = nn.LayerNorm(8), Perceptron()
        self.scale, self.drop = nn.Parameter(torch.ones(8)), DropPath()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.scale * self.attention(self.norm1(x)))
        return x + self.drop(self.perceptron(self.norm2(x)))


class Encoder(nn.Module):
    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(5, 8))
        self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(x + self.place)).mean(1))


def resnet() -> nn.Sequential:
    """Of three residual blocks the second one halves the image."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        *(ResidualBlock(*widths) for widths in ((4, 4), (4, 8), (8, 8))),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)),
    )


class Held(nn.Module):
    """Three branches, of which some function spoils the second; the first and the third may go."""

    def __init__(self, spoiled: Callable[["Held", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.third = Perceptron(), Perceptron(), Perceptron()
        self.beside, self.spoiled = nn.Linear(8, 8), spoiled

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.first(x)
        x = self.spoiled(self, x)
        return x + self.third(x)


def _shared(net: Held, x: Tensor) -> Tensor:
    x = x + net.second(x)
    return functional.linear(x, net.second.down.weight @ net.second.up.weight)


def _feeds(net: Held, x: Tensor) -> Tensor:
    y = net.second(x)
    return (x + y) * y.mean()


def _projected(net: Held, x: Tensor) -> Tensor:
    return net.beside(x) + net.second(x)


def _constant(net: Held, x: Tensor) -> Tensor:
    return x + torch.sigmoid(net.second(x))


def _nested(net: Held, x: Tensor) -> Tensor:
    return x + net.beside(x + net.second(x))


def _in_training(net: Held, x: Tensor) -> Tensor:
    y = net.second(x)
    return x + y + (y.mean() if net.training else 0)


HELD = {
    "shared": (_shared, "second", "second.down.weight is read elsewhere, too"),
    "feeds": (_feeds, "second", "it feeds something else (mean in the model)"),
    "projected": (_projected, "second", "its shortcut is not the identity (linear in beside)"),
    "constant": (_constant, "second", "a constant is left of it once its weights are zero"),
    "nested": (_nested, "", "it holds residual branches of its own"),
    "training": (_in_training, "second", "it feeds something else (mean in the model)"),
}
"""By name what spoils a branch, the branch, and why it stays."""
