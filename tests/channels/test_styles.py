"""Networks in the style of timm and Ultralytics, written here: neither imports without torchvision.

timm's own nets, from their configurations, are measured in benchmarks/foreign_nets.md.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import secateur


class Conv(nn.Module):
    """Convolution, batch norm, SiLU: what every block of YOLO is made of."""

    def __init__(self, narrow: int, wide: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(narrow, wide, kernel, stride, kernel // 2, bias=False)
        self.bn, self.act = nn.BatchNorm2d(wide), nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(width, width, 3), Conv(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.cv2(self.cv1(x))  # type: ignore[no-any-return]


class C2f(nn.Module):
    """Split in two, bottlenecks on the second half, everything concatenated."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        half = wide // 2
        self.cv1, self.cv2 = Conv(narrow, wide), Conv(3 * half, wide)
        self.m = nn.ModuleList([Bottleneck(half)])

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.cv1(x).chunk(2, 1))
        parts.extend(block(parts[-1]) for block in self.m)
        return self.cv2(torch.cat(parts, 1))  # type: ignore[no-any-return]


class SPPF(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(width, width // 2), Conv(2 * width, width)
        self.m = nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.cv1(x)]
        parts.extend(self.m(parts[-1]) for _ in range(3))
        return self.cv2(torch.cat(parts, 1))  # type: ignore[no-any-return]


class Yolo(nn.Module):
    """A backbone of two scales, a neck that joins them, a head of boxes and classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.low = Conv(3, 16, 3, 2), C2f(16, 16)
        self.down, self.high, self.pool = Conv(16, 32, 3, 2), C2f(32, 32), SPPF(32)
        self.join = C2f(48, 16)
        self.boxes = nn.ModuleList(
            nn.Sequential(Conv(width, 16, 3), nn.Conv2d(16, 4 * 8, 1)) for width in (16, 32)
        )
        self.kinds = nn.ModuleList(
            nn.Sequential(Conv(width, 16, 3), nn.Conv2d(16, 5, 1)) for width in (16, 32)
        )

    def forward(self, x: Tensor) -> Tensor:
        low = self.low(self.stem(x))
        high = self.pool(self.high(self.down(low)))
        joined = self.join(torch.cat([functional.interpolate(high, scale_factor=2.0), low], 1))
        scales = [
            torch.cat([box(scale), kind(scale)], 1).flatten(2)
            for box, kind, scale in zip(self.boxes, self.kinds, (joined, high), strict=True)
        ]
        boxes, kinds = torch.cat(scales, 2).split((32, 5), 1)
        rows = boxes.view(len(x), 4, 8, -1).softmax(2)  # distances, each a distribution
        sides = (rows * torch.arange(8.0, device=x.device)[:, None]).sum(2)
        return torch.cat([sides, kinds.sigmoid()], 1)


class Attention(nn.Module):
    """timm's: one layer for queries, keys and values, reshaped, permuted and unbound."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, _ = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        mixed = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(batch, length, -1))  # type: ignore[no-any-return]


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Vit(nn.Module):
    """A vision transformer with a class token, positions and layer scale."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 16))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, 16))
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(16), Attention(16, 2), Scale(16)
        self.norm2, self.ls2 = nn.LayerNorm(16), Scale(16)
        self.mlp = nn.Sequential(nn.Linear(16, 64), nn.GELU(), nn.Linear(64, 16))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.pos_embed
        x = x + self.ls1(self.attn(self.norm1(x)))
        x = x + self.ls2(self.mlp(self.norm2(x)))
        return self.head(self.norm(x)[:, 0])  # type: ignore[no-any-return]


class Efficient(nn.Module):
    """An inverted residual with squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(3, 16, 3, 2)
        self.conv_pw, self.bn1 = nn.Conv2d(16, 48, 1, bias=False), nn.BatchNorm2d(48)
        self.conv_dw = nn.Conv2d(48, 48, 3, padding=1, groups=48, bias=False)
        self.bn2 = nn.BatchNorm2d(48)
        self.reduce, self.expand = nn.Conv2d(48, 8, 1), nn.Conv2d(8, 48, 1)
        self.conv_pwl, self.bn3 = nn.Conv2d(48, 16, 1, bias=False), nn.BatchNorm2d(16)
        self.classifier = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        kept = x = self.stem(x)
        x = functional.silu(self.bn1(self.conv_pw(x)))
        x = functional.silu(self.bn2(self.conv_dw(x)))
        gate = self.expand(functional.silu(self.reduce(x.mean((2, 3), keepdim=True))))
        x = self.bn3(self.conv_pwl(x * gate.sigmoid())) + kept
        return self.classifier(x.mean((2, 3)))  # type: ignore[no-any-return]


@pytest.mark.parametrize("build", [Yolo, Vit, Efficient])
def test_it_is_cut_compacted_and_comes_back(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, images = build().eval(), torch.randn(2, 3, 16, 16)
    masks = secateur.prune(model, "l1-filter", sparsity=0.4, scope="all", example_inputs=images)
    small = secateur.compact(model, masks, images).eval()
    before, after = (secateur.cost(net, images) for net in (model, small))
    assert after.parameters < 0.85 * before.parameters
    assert after.macs < before.macs
    secateur.save(small, tmp_path / "small.safetensors")
    again = secateur.load(tmp_path / "small.safetensors", build).eval()
    with torch.no_grad():
        assert torch.allclose(model(images), small(images), atol=1e-5)
        assert torch.equal(small(images), again(images))
