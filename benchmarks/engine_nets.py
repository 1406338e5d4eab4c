"""The nets of `engine.py`: what people have, built here or taken from pytorchcv where it is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from secateur import models

Example = Callable[[int], Tensor]
PYTORCHCV = (
    "squeezenet_v1_0",
    "mobilenetv3_small_w1",
    "efficientnet_b0",
    "ghostnet",
    "shufflenetv2_w1",
    "nasnet_4a1056",
    "xception",
    "densenet121",
    "hrnet_w18_small_v1",
)


def images(*shape: int) -> Example:
    return lambda batch: torch.randn(batch, *shape)


def words(length: int, count: int) -> Example:
    return lambda batch: torch.randint(count, (batch, length))


class Residual(nn.Module):
    """Two convolutions, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, axes: int = 2) -> None:
        super().__init__()
        conv, norm = ((nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d))[axes - 1]
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride, 1, bias=False),
            norm(outputs),
            nn.ReLU(),
            conv(outputs, outputs, 3, 1, 1, bias=False),
            norm(outputs),
        )
        same = inputs == outputs and stride == 1
        short = nn.Sequential(conv(inputs, outputs, 1, stride, bias=False), norm(outputs))
        self.short = nn.Identity() if same else short

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


def resnet18() -> nn.Module:
    blocks, inputs = [], 64
    for place, width in enumerate((64, 128, 256, 512)):
        blocks += [Residual(inputs, width, 1 + (place > 0)), Residual(width, width, 1)]
        inputs = width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, *head)


def sequences() -> nn.Module:
    """A residual net over one axis."""
    blocks, inputs = [], 32
    for width in (64, 128, 128):
        blocks += [Residual(inputs, width, 2, axes=1), Residual(width, width, 1, axes=1)]
        inputs = width
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 10)]
    return nn.Sequential(nn.Conv1d(8, 32, 7, 2, 3), nn.ReLU(), *blocks, *head)


class Inverted(nn.Module):
    """Wider, one filter for each channel, narrower again."""

    def __init__(self, inputs: int, outputs: int, stride: int, wider: int) -> None:
        super().__init__()
        width = inputs * wider
        wide = [nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU6()]
        self.body = nn.Sequential(
            *(wide if wider > 1 else []),
            nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU6(),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    rows = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
    rows += ((6, 160, 3, 2), (6, 320, 1, 1))
    blocks, inputs = [], 32
    for wider, outputs, count, stride in rows:
        for place in range(count):
            blocks.append(Inverted(inputs, outputs, 1 if place else stride, wider))
            inputs = outputs
    stem = [nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    last = [nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.ReLU6()]
    return nn.Sequential(
        *stem, *blocks, *last, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)
    )


class Encoder(nn.Module):
    """Four layers of a transformer over words."""

    def __init__(self, count: int = 5000, length: int = 128, width: int = 256) -> None:
        super().__init__()
        self.words = nn.Embedding(count, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        layer = nn.TransformerEncoderLayer(
            width, 4, 4 * width, activation="gelu", batch_first=True, norm_first=False
        )
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(width, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.layers(self.words(ids) + self.places)[:, 0])


class Block(nn.Module):
    """A layer of GPT-2, its norms in front."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.mixed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        parts = self.mixed(self.norms[0](x)).split(width, 2)
        q, k, v = (one.view(n, t, self.heads, -1).transpose(1, 2) for one in parts)
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, width))
        return x + self.down(functional.gelu(self.up(self.norms[1](x)), approximate="tanh"))


class Decoder(nn.Module):
    """Four layers of GPT-2 over 64 words."""

    def __init__(self, count: int = 5000, length: int = 64, width: int = 256) -> None:
        super().__init__()
        self.words = nn.Embedding(count, width)
        self.places = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*(Block(width, 4) for _ in range(4)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, count, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.words(ids) + self.places))[:, -1])


class Tagger(nn.Module):
    """A GRU that gives each word a tag."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5000, 128)
        self.gru = nn.GRU(128, 256, batch_first=True)
        self.tags = nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 20))

    def forward(self, ids: Tensor) -> Tensor:
        return self.tags(self.gru(self.words(ids))[0])


def table() -> nn.Module:
    layers = [nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 8)]
    return nn.Sequential(*layers)


NETS: dict[str, tuple[Callable[[], nn.Module], Example]] = {
    "conv4": (partial(models.build, "conv4", (3, 25, 25), 5), images(3, 25, 25)),
    "resnet20": (partial(models.build, "resnet20", (3, 32, 32), 10), images(3, 32, 32)),
    "resnet18 at 224": (resnet18, images(3, 224, 224)),
    "mobilenet_v2": (mobilenet_v2, images(3, 224, 224)),
    "encoder": (Encoder, words(128, 5000)),
    "decoder": (Decoder, words(64, 5000)),
    "gru tagger": (Tagger, words(40, 5000)),
    "residual 1-d": (sequences, images(8, 512)),
    "table": (table, images(64)),
    "mlp on sequences": (
        lambda: nn.Sequential(nn.Linear(128, 512), nn.ReLU(), nn.Linear(512, 128)),
        images(64, 128),
    ),
}


def nets(only: str) -> Iterator[tuple[str, Callable[[], nn.Module], Example]]:
    """Name, builder and example of each net whose name begins so."""
    for name, (build, example) in NETS.items():
        if name.startswith(only):
            yield name, build, example
    if importlib.util.find_spec("pytorchcv"):
        from pytorchcv.model_provider import get_model

        for name in PYTORCHCV:
            if name.startswith(only):
                yield name, partial(get_model, name), images(3, 224, 224)


def pruned(build: Callable[[], nn.Module], share: float) -> nn.Module:
    """The net with the same share of zeros, at random places, in each layer but depthwise ones.

    What is left is drawn so that activations keep their size from layer to layer: were they to
    vanish, every engine would compute with zeros and subnormal numbers.
    """
    torch.manual_seed(0)
    net = build().eval().requires_grad_(False)
    for name, weight in net.named_parameters():
        is_table = isinstance(net.get_submodule(name.rpartition(".")[0]), nn.Embedding)
        if weight.dim() > 1 and weight.shape[1] > 1 and not is_table and "places" not in name:
            nn.init.kaiming_normal_(weight, nonlinearity="relu").div_((1 - share) ** 0.5)
            flat = weight.view(-1)
            flat[torch.randperm(len(flat))[: round(share * len(flat))]] = 0
    return net
